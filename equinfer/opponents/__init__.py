"""Table 1, column 1: how a player predicts what the others do. A new model is one file and one line here."""

from equinfer.opponents.empirical import Empirical
from equinfer.opponents.oracle import Oracle
from equinfer.opponents.protocol import AbstractOpponentModel

__all__ = ["OPPONENTS", "AbstractOpponentModel", "Empirical", "Oracle"]

OPPONENTS: dict[str, type[AbstractOpponentModel]] = {model.name: model for model in (Oracle, Empirical)}
