"""Catalogue: data with its sources, about clouds, their nodes, networks and servers. Imports nothing else of homeport."""
