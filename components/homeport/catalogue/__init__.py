"""Catalogue: data with sources about clouds, their nodes, networks and servers. It imports no other part of homeport."""
