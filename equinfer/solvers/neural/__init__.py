"""Algorithms 2 and 3 with networks."""
