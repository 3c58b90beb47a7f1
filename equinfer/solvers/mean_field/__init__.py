"""Solvers of mean-field games: Algorithm 4, what it is a setting of, and what finishes to machine precision."""
