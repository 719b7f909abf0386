"""Commands: what the `homeport` command does, one module for each command."""
