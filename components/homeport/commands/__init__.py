"""Commands: what the `homeport` command does, one module a command."""
