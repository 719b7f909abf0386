"""Output: formats for people and programs, which know nothing of what is written in them."""
