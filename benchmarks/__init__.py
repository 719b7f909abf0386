"""Benchmarks of homeport and of the tools that people would otherwise use; `make bench` runs them."""
