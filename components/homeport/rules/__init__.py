"""Rules: what an environment refuses, of one release and of all together."""
