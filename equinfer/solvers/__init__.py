"""The solvers by name. A name is one line here, or a plug-in; its module is imported when it is asked for."""

import importlib
import inspect
from typing import Any

from equinfer.plugins import plugin

__all__ = ["SOLVERS", "solver_class"]

SOLVERS = {
    "vpg": "equinfer.solvers.tabular.vpg:VPG",
    "vpg-sampled": "equinfer.solvers.tabular.vpg_sampled:SampledVPG",
    "kernel": "equinfer.solvers.tabular.kernel:Kernel",
    "stage-nash": "equinfer.solvers.tabular.stage_nash:StageNash",
    "homotopy": "equinfer.solvers.tabular.homotopy:Homotopy",
    "support": "equinfer.solvers.tabular.support:SupportEnumeration",
    "lemke-howson": "equinfer.solvers.tabular.lemke_howson:LemkeHowson",
    "bayesian-q": "equinfer.solvers.mean_field.bayesian_q:BayesianQ",
    "bayesian-q-sampled": "equinfer.solvers.mean_field.bayesian_q_sampled:SampledBayesianQ",
    "temperature-grid": "equinfer.solvers.mean_field.temperature_grid:TemperatureGrid",
    "interior-point": "equinfer.solvers.mean_field.interior_point:InteriorPoint",
    "complementarity": "equinfer.solvers.mean_field.complementarity:Complementarity",
    "fictitious-play": "equinfer.solvers.mean_field.fictitious_play:FictitiousPlay",
    "online-mirror-descent": "equinfer.solvers.mean_field.mirror_descent:OnlineMirrorDescent",
    "prior-descent": "equinfer.solvers.mean_field.prior_descent:PriorDescent",
    "mf-omo": "equinfer.solvers.mean_field.mf_omo:MFOMO",
    "public-signals": "equinfer.solvers.correlated.public_signals:PublicSignals",
    "matrix-game": "equinfer.solvers.zero_sum.matrix_game:MatrixGame",
    "swap-regret": "equinfer.solvers.correlated.swap_regret:SwapRegret",
    "lp": "equinfer.solvers.correlated.lp:LinearProgramme",
    "vce": "equinfer.solvers.correlated.vce:VariationalCorrelated",
    "nash-path": "equinfer.solvers.correlated.nash_path:NashPath",
}
GROUP = "equinfer.solvers"


def solver_class(name: str) -> Any:
    """The class of a solver. **Raises:** `UnknownName` with the known ones."""
    if name in SOLVERS:
        module, _, attribute = SOLVERS[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    return plugin(GROUP, "solver", name, ("auto", *SOLVERS), fault)


def fault(kind: Any) -> str | None:
    """What is wrong with a plug-in, or None."""
    from equinfer.drivers.protocol import AbstractHostSolver, AbstractSolver

    if not (inspect.isclass(kind) and issubclass(kind, (AbstractSolver, AbstractHostSolver))):
        return f"it is no AbstractSolver or AbstractHostSolver, but {kind!r}"
    if inspect.isabstract(kind):
        return f"{kind.__name__} lacks {', '.join(sorted(kind.__abstractmethods__))}"
    return None if isinstance(getattr(kind, "name", None), str) else f"{kind.__name__} has no name"
