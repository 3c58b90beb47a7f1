"""What a person reads on stdout of a game of learners."""

from equinfer.cli.display import clean, on_stdout, print_facts
from equinfer.games.continuous import ContinuousGame
from equinfer.games.spaces import Box, Space

__all__ = ["print_game"]


def print_game(game: ContinuousGame) -> None:
    """Agents, what each can do and sees, how the game goes on, and what is declared about it."""
    facts = [("game", f"{clean(game.name)}: {game.num_players} agents")]
    for label, space, size in zip(game.player_labels, game.spaces, game.observation_sizes, strict=True):
        facts.append(("agents", f"{clean(label)}: {_in_words(space)}; observes {size} number{'s' * (size > 1)}"))
    if game.is_one_shot:
        facts.append(("steps", "one, after which nothing follows"))
    else:
        end = "until it ends by itself" if game.horizon is None else f"at most {game.horizon} in an episode"
        facts.append(("steps", f"{end}; discount {', '.join(f'{d:g}' for d in dict.fromkeys(game.discount))}"))
        facts.append(("states", f"{'do not depend' if game.exogenous else 'may depend'} on actions"))
    if game.is_one_shot:
        facts.append(("gaps", _proof(game)))
    print_facts(on_stdout(), facts)


def _in_words(space: Space) -> str:
    if not isinstance(space, Box):
        return f"{space.n} moves"
    return " x ".join(f"[{low:g}, {high:g}]" for low, high in zip(space.low, space.high, strict=True))


def _proof(game: ContinuousGame) -> str:
    if game.is_quadratic:
        return "exact, or bounded from above: rewards are quadratic, or the largest of quadratic functions"
    if game.lipschitz is None:
        return "estimates, by a search: no Lipschitz constant is declared"
    return f"bounded from above: Lipschitz constants {', '.join(f'{c:g}' for c in game.lipschitz)}"
