"""Table 1, column 1: how a player predicts what the others do. A new model is one file and one line here."""

from equinfer.opponents.empirical import Empirical
from equinfer.opponents.inferred import Inferred, InferredFlat
from equinfer.opponents.moves import Moves
from equinfer.opponents.oracle import Oracle
from equinfer.opponents.own import Own
from equinfer.opponents.protocol import AbstractOpponentModel
from equinfer.opponents.trajectory import Trajectory

__all__ = [
    "OPPONENTS",
    "AbstractOpponentModel",
    "Empirical",
    "Inferred",
    "InferredFlat",
    "Moves",
    "Oracle",
    "Own",
    "Trajectory",
]

OPPONENTS: dict[str, type[AbstractOpponentModel]] = {
    model.name: model for model in (Oracle, Empirical, Own, Inferred, InferredFlat, Trajectory)
}
