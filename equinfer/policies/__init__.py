"""Table 1, column 2: what a policy may look at. A new family is one file and one line here."""

from equinfer.policies.conditional import Conditional
from equinfer.policies.marginal import Marginal
from equinfer.policies.protocol import AbstractPolicyFamily

__all__ = ["POLICIES", "AbstractPolicyFamily", "Conditional", "Marginal"]

POLICIES: dict[str, type[AbstractPolicyFamily]] = {family.name: family for family in (Marginal, Conditional)}
