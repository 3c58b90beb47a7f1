r"""The gap of public play: the Nash gap of the game whose state also holds the public signal.

In every decision epoch a signal $\omega\sim\sigma(\cdot\mid s)$ is drawn and seen by all; play is the profile it calls
for. With $\tilde s=(s,\omega)$ and $\tilde P(\tilde s'\mid\tilde s,a)=P(s'\mid s,a)\,\sigma(\omega'\mid s')$ (paper,
section 5.3, without the extra sum that equals one) this is an ordinary game, and its gap is that of the play.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from equinfer.answer import PublicPlay
from equinfer.certificates.averages import average_first, facing, facing_each
from equinfer.certificates.lists import facing_each_sparse
from equinfer.certificates.profile import checked_law, checked_profile
from equinfer.certificates.raw import RawGame, raw_game
from equinfer.certificates.verdicts import Faced, Verdict, assembled, epoch_verdicts, stationary_verdicts
from equinfer.errors import BadInput
from equinfer.records import Certificate
from equinfer.tables import Tables

__all__ = ["certify_public", "checked_public_play"]


def certify_public(tables: Tables, answer: Any) -> Certificate:
    """The exact certificate of public play, over signals of positive probability.

    **Arguments:** `answer` is a `PublicPlay`, its dict, or a profile: public play whose signal says nothing.

    **Returns:** `values` (N, [H,] S), before the signal is seen; `deviation(i).policy` (W, [H,] S, A_i) and `.gain`
    (W, [H,] S), 0 where the signal never comes. `kind` is "exact".

    **Raises:** `BadInput` if `answer` is no public play of the game, or the tables are no game.
    """
    game = raw_game(tables)
    play = checked_public_play(tables, answer)
    policies = [[policy[w] for policy in play.profile] for w in range(play.signal.shape[-1])]
    with np.errstate(all="ignore"):  # what is not finite in the end is refused
        return assembled("public-correlated", game, _verdicts(game, play.signal, policies), tables.payoff_scales)


def checked_public_play(tables: Tables, answer: Any) -> PublicPlay:
    """A float64 copy of `answer`, if it is public play of this game.

    **Raises:** `BadInput` that names the signal, the player and the state.
    """
    if isinstance(answer, Mapping):
        answer = PublicPlay(answer["signal"], answer["profile"])
    if not isinstance(answer, PublicPlay):
        profile = checked_profile(tables, answer)
        lead = (tables.num_states,) if tables.horizon is None else (tables.horizon, tables.num_states)
        return PublicPlay(np.ones((*lead, 1)), tuple(policy[None] for policy in profile))
    signal = _checked_signal(tables, answer.signal)
    if not _is_list(answer.profile) or len(answer.profile) != tables.num_players:
        raise BadInput(f"public play needs one array of policies for each of {tables.num_players} players.")
    num_signals = signal.shape[-1]
    for player, policy in enumerate(answer.profile):
        if not _is_list(policy) or len(policy) != num_signals:
            raise BadInput(
                f"the policies of player {tables.player_labels[player]} must be one for each of {num_signals} signals: "
                "the first axis of the array."
            )
    called: list[tuple[np.ndarray, ...]] = []
    for w in range(num_signals):
        try:
            called.append(checked_profile(tables, [policy[w] for policy in answer.profile]))
        except BadInput as error:
            raise BadInput(f"signal {w}: {error}") from None
    return PublicPlay(signal, tuple(np.stack(policies) for policies in zip(*called, strict=True)))


def _is_list(value: Any) -> bool:
    """Whether it holds things in order: text, a mapping and an array without axes do not."""
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes, Mapping)) and getattr(value, "ndim", 1) > 0


def _checked_signal(tables: Tables, signal: Any) -> Float[np.ndarray, "*HS W"]:
    states = (tables.num_states,)
    lead = states if tables.horizon is None else (tables.horizon, *states)

    def place(row: tuple[int, ...]) -> str:
        epoch = f", epoch {row[0]}" if len(lead) == 2 else ""
        return f"law of the signal{epoch}, state {tables.state_labels[row[-1]]}"

    array = np.asarray(signal)
    if array.ndim == 1 and tables.num_states == 1:
        array = array[None]
    if array.shape[:-1] not in (lead, states) or not array.size:
        axes = "(S, W)" if len(lead) == 1 else "(H, S, W)"
        raise BadInput(f"the law of the signal must have shape {axes} with {lead} in front; got {array.shape}.")
    return checked_law(np.broadcast_to(array, (*lead, array.shape[-1])), "the law of the signal", place)


def _verdicts(
    game: RawGame, signal: Float[np.ndarray, "*HS W"], plays: Sequence[Sequence[np.ndarray]]
) -> list[Verdict]:
    if game.horizon is not None:
        return epoch_verdicts(game, plays, signal)
    if not game.discount.any():
        once = [[policy[None] for policy in play] for play in plays]
        return [
            v._replace(values=v.values[0], deviation=v.deviation[:, 0], gain=v.gain[:, 0], length=v.length[0])
            for v in epoch_verdicts(game, once, signal[None])
        ]
    return _stationary(game, signal, plays)


def _stationary(
    game: RawGame, signal: Float[np.ndarray, "S W"], plays: Sequence[Sequence[np.ndarray]]
) -> list[Verdict]:
    """On states (s, w), state by state. Signals that never come are left out: nothing that matters depends on them."""
    num_states, num_signals = signal.shape
    comes = signal.ravel() > 0
    listed = sparse.issparse(game.kernel)
    kernels, chains, terms = zip(*(_faced_kernels(game, play) for play in plays), strict=True)
    law = sparse.csr_array(
        (signal.ravel()[comes], (np.repeat(np.arange(num_states), num_signals)[comes], np.arange(comes.sum()))),
        shape=(num_states, int(comes.sum())),
    )

    def onto_signals(rows: Sequence[Any], size: int) -> Any:
        """Rows (S size, S) for each signal, as rows of the states and signals that come, to those."""
        order = np.arange(num_signals * num_states * size).reshape(num_signals, num_states, size).swapaxes(0, 1)
        chosen = order.reshape(-1, size)[comes].ravel()
        if listed:
            stacked: Any = sparse.vstack(rows, format="csr")
            return (stacked[chosen] @ law).tocsr()
        return np.concatenate([each.reshape(num_states * size, num_states) for each in rows])[chosen] @ law

    faced = []
    for player, legal in enumerate(game.legal):
        size = legal.shape[1]
        reward = [facing(game.reward[player][..., None], play, player)[..., 0] for play in plays]
        kernel = onto_signals([each[player] for each in kernels], size)
        faced.append(
            Faced(
                np.stack(reward, axis=1).reshape(-1, size)[comes],
                kernel if listed else np.asarray(kernel).reshape(-1, size, int(comes.sum())),
                np.repeat(legal, num_signals, axis=0)[comes],
                np.stack([play[player] for play in plays], axis=1).reshape(-1, size)[comes],
            )
        )
    chain = onto_signals(chains, 1)
    roundings = game.averaging_roundings + game.kernel_roundings + (max(terms) + 5) * num_signals + 8
    verdicts = stationary_verdicts(game, faced, chain if listed else np.asarray(chain), roundings)
    played = [np.stack([play[player] for play in plays]) for player in range(len(verdicts))]
    return [_by_signal(verdict, comes, law, own) for verdict, own in zip(verdicts, played, strict=True)]


def _by_signal(verdict: Verdict, comes: Bool[np.ndarray, " SW"], law: Any, own: Float[np.ndarray, "W S A"]) -> Verdict:
    """Axes (S W) become (W, S); there is no gain, and no deviation from one's `own` policy, where a signal never comes.
    Values are averaged over the signal.
    """
    num_signals, _, size = own.shape
    gain, deviation = np.zeros(comes.shape), own.swapaxes(0, 1).reshape(-1, size).copy()
    gain[comes], deviation[comes] = verdict.gain, verdict.deviation
    return verdict._replace(
        values=law @ verdict.values,
        gain=gain.reshape(-1, num_signals).T,
        deviation=deviation.reshape(-1, num_signals, size).swapaxes(0, 1),
    )


def _faced_kernels(game: RawGame, play: Sequence[np.ndarray]) -> tuple[Sequence[Any], Any, int]:
    """Of one signal: what each player faces, the chain of all, and how many terms a row is a sum of."""
    if sparse.issparse(game.kernel):
        return facing_each_sparse(game.kernel, game.row_terms, play)
    kernels = facing_each(game.kernel, play)
    return kernels, average_first(kernels[0], play[0]), game.row_terms
