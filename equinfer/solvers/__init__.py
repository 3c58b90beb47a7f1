"""The solvers by name. A name is one line here; its module is imported when it is asked for."""

import importlib
from typing import Any

from equinfer.errors import UnknownName

__all__ = ["SOLVERS", "solver_class"]

SOLVERS = {
    "vpg": "equinfer.solvers.tabular.vpg:VPG",
    "vpg-sampled": "equinfer.solvers.tabular.vpg_sampled:SampledVPG",
    "stage-nash": "equinfer.solvers.tabular.stage_nash:StageNash",
    "homotopy": "equinfer.solvers.tabular.homotopy:Homotopy",
    "support": "equinfer.solvers.tabular.support:SupportEnumeration",
    "lemke-howson": "equinfer.solvers.tabular.lemke_howson:LemkeHowson",
}


def solver_class(name: str) -> Any:
    """The class of a solver. **Raises:** `UnknownName` with the known ones."""
    if name not in SOLVERS:
        raise UnknownName.among("solver", name, ("auto", *SOLVERS))
    module, _, attribute = SOLVERS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
