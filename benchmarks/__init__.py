"""homeport compared with the tools that people would otherwise use; `make bench` runs it."""
