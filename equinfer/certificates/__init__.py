"""How far an answer is from equilibrium, in NumPy float64, by code that shares nothing with any solver."""

from equinfer.certificates.correlated import certify_coarse_correlated, certify_correlated
from equinfer.certificates.nash import certify_nash
from equinfer.certificates.profile import checked_profile
from equinfer.certificates.zero_sum import certify_zero_sum, refuse_unless_zero_sum

__all__ = [
    "certify_coarse_correlated",
    "certify_correlated",
    "certify_nash",
    "certify_zero_sum",
    "checked_profile",
    "refuse_unless_zero_sum",
]
