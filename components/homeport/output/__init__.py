"""Output: formats for people and programs, independent of the content."""
