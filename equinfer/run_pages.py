"""The page of a run: everything about it that is worth a judgement, judged and drawn."""

import os

from equinfer.errors import BadInput
from equinfer.opponent_judgements import OpponentJudgement, judged_opponents
from equinfer.records import Certificate
from equinfer.runs import Training

__all__ = ["write_run_page"]


def write_run_page(training: Training, path: str | os.PathLike[str]) -> None:
    """Certify every seed and judge what agents think of each other, where either can be done, and write the page."""
    from equinfer.report.learning import write_training  # whoever trains need not load what draws

    certificates: tuple[Certificate, ...] = ()
    uncertified: str | None = None
    try:
        certificates = training.certificate
    except BadInput as error:
        uncertified = str(error)
    write_training(training, path, certificates=certificates, uncertified=uncertified, opponents=_judged(training))


def _judged(training: Training) -> OpponentJudgement | None:
    try:
        return judged_opponents(training)
    except BadInput:  # nobody is modelled, or nothing can be drawn anew
        return None
