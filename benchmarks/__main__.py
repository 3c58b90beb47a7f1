"""Every benchmark program, one after the other: `python -m benchmarks`; each also runs alone."""

from benchmarks import batches, nasty, one_shot, stochastic_games, vpg_bandwidth, waiting

if __name__ == "__main__":
    for program in (waiting, vpg_bandwidth, stochastic_games, one_shot, batches, nasty):
        program.main()
