"""Seeds are spread over devices where there are several, and a run that goes on spreads them again."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import jax, numpy as np
import equinfer as eq

def trained(**how):
    return eq.train("maddpg", "catalog:cournot", steps=500, seeds=4, hidden=8, batch=16, **how)

def stop(row):
    if row["step"] >= 200:
        raise KeyboardInterrupt

assert len(jax.devices()) == 2
whole = trained()
trained(out=sys.argv[1], watch=stop)
done = eq.resume(sys.argv[1])
for run in (whole, done):
    assert all(len(leaf.sharding.device_set) == 2 for leaf in jax.tree.leaves(run.state))
assert np.array_equal(done.returns, whole.returns)
assert np.array_equal(done.actions, whole.actions)
"""


@pytest.mark.slow
def test_seeds_on_two_devices_go_on_bit_by_bit_the_same(tmp_path):
    machine = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "run")], env=machine, check=True, timeout=300)
