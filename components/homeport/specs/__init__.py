"""Specs: what people write, and how a mistake in it is told."""
