"""Exact solvers of zero-sum games."""
