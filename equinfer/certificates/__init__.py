"""How far an answer is from equilibrium, in NumPy float64, by code that shares nothing with any solver."""

from equinfer.certificates.nash import certify_nash
from equinfer.certificates.profile import checked_profile

__all__ = ["certify_nash", "checked_profile"]
