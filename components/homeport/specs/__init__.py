"""Specs: the files that people write, and the errors that describe mistakes in them."""
