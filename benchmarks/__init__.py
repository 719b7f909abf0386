"""homeport side by side with what people would otherwise use; `make bench` runs it."""
