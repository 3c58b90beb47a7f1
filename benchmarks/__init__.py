"""Benchmark programs: ours and the peers' on the same work in the same run; a ratio is the result."""
