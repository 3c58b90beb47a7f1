"""Settings that make no sense are refused in one sentence, before anything is compiled."""

import numpy as np
import pytest

from equinfer.errors import BadInput
from equinfer.solvers.correlated.nash_path import NashPath
from equinfer.solvers.correlated.public_signals import PublicSignals
from equinfer.solvers.correlated.swap_regret import SwapRegret
from equinfer.solvers.tabular.vpg import VPG
from equinfer.solvers.tabular.vpg_sampled import SampledVPG
from equinfer.solvers.zero_sum.matrix_game import MatrixGame


@pytest.mark.parametrize(
    ("solver", "fields", "interval"),
    [
        (VPG, {"temperature": np.inf}, r"temperature must lie in \(0, inf\)"),
        (VPG, {"step_size": 1.5}, r"step_size must lie in \(0, 1\]"),
        (VPG, {"tolerance": np.nan}, "tolerance must lie in"),
        (VPG, {"order": "random"}, "order must be one of simultaneous, round-robin"),
        (SampledVPG, {"rate_decay": 0.5}, r"rate_decay must lie in \(0.5, 1\]"),
        (SampledVPG, {"worlds": 0}, r"worlds must lie in \[1, inf\)"),
        (NashPath, {"sweeps": -3}, r"sweeps must lie in \[0, inf\); got -3"),
        (PublicSignals, {"sweeps": -3}, r"sweeps must lie in \[0, inf\)"),
        (PublicSignals, {"searches": -3}, r"searches must lie in \[1, inf\)"),
        (SwapRegret, {"rounds": 0}, r"rounds must lie in \[1, inf\)"),
        (MatrixGame, {"sweeps": 0}, r"sweeps must lie in \[1, inf\); got 0"),
        (MatrixGame, {"patience": -3}, r"patience must lie in \[0, inf\)"),
    ],
)
def test_settings_out_of_range_are_refused(solver, fields, interval):
    with pytest.raises(BadInput, match=interval):
        solver(**fields)
