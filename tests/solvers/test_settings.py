"""Settings of VPG that make no sense are refused in one sentence, before anything is compiled."""

import numpy as np
import pytest

from equinfer.errors import BadInput
from equinfer.solvers.tabular.vpg import VPG
from equinfer.solvers.tabular.vpg_sampled import SampledVPG


@pytest.mark.parametrize(
    ("solver", "fields", "interval"),
    [
        (VPG, {"temperature": np.inf}, r"temperature must lie in \(0, inf\)"),
        (VPG, {"step_size": 1.5}, r"step_size must lie in \(0, 1\]"),
        (VPG, {"tolerance": np.nan}, "tolerance must lie in"),
        (VPG, {"order": "random"}, "order must be one of simultaneous, round-robin"),
        (SampledVPG, {"rate_decay": 0.5}, r"rate_decay must lie in \(0.5, 1\]"),
        (SampledVPG, {"worlds": 0}, r"worlds must lie in \[1, inf\)"),
    ],
)
def test_settings_out_of_range_are_refused(solver, fields, interval):
    with pytest.raises(BadInput, match=interval):
        solver(**fields)
