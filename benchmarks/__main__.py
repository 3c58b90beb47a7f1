"""Every benchmark program but the search for presets: `python -m benchmarks`; each also runs alone."""

from benchmarks import (
    batches,
    correlated,
    frontier,
    learning,
    learning_discrete,
    learning_speed,
    learning_states,
    mean_field,
    nasty,
    one_shot,
    opponents,
    vpg_bandwidth,
    waiting,
    zero_sum,
)

if __name__ == "__main__":
    for program in (
        waiting,
        vpg_bandwidth,
        frontier,
        one_shot,
        batches,
        nasty,
        zero_sum,
        correlated,
        opponents,
        mean_field,
        learning,
        learning_discrete,
        learning_states,
        learning_speed,
    ):
        program.main()
