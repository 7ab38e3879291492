"""Deciding about a few pictures among others of the same collection.

Scores are smoothed over the pictures of a folder (`smoothing`), and some constants are medians of
it. A picture that arrives alone has no such folder. So it is scored together with pictures that
were sorted before; then their rows are dropped.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zeroshelf.decisions.constants import LABEL_COUNT_PENALTY
from zeroshelf.decisions.decide import Decisions, label_probabilities
from zeroshelf.records import Embeddings, Picture

_NEVER_QUITE = 1e-7  # the least distance of a probability from 0 and 1, in single precision


def joined(own: Embeddings, beside: Embeddings) -> Embeddings:
    """`own`, N pictures, and behind them those of `beside` whose content is not among them.

    The latter are named by their digests: a file in the folder may have their path by now. Raises
    `ValueError` where two models made the vectors.
    """
    if own.model.digest != beside.model.digest:
        raise ValueError("the pictures to judge and those beside them are of two models")
    there = set(own.digests)
    rows = [row for row, digest in enumerate(beside.digests) if digest not in there]
    return replace(
        own,
        pictures=(
            *own.pictures,
            *(Picture(beside.digests[row].hex(), "", 0, 0, 0) for row in rows),
        ),
        digests=(*own.digests, *(beside.digests[row] for row in rows)),
        vectors=np.concatenate((own.vectors, beside.vectors[rows])),
        notes={
            **own.notes,
            **{
                len(own) + new: beside.notes[old]
                for new, old in enumerate(rows)
                if old in beside.notes
            },
        },
    )


def first(decided: Decisions, count: int) -> Decisions:
    """The decisions about the first `count` pictures, as they were made among all of them.

    Smoothing needs the rows that are dropped. So the scores that remain have none: their logits are
    smoothed already, and their negative score is 0. `decide.also` and `label_probabilities` give
    the same answers as before; `decide.decide` must not be called with them.
    """
    scores, calibration = decided.scores, decided.calibration
    fits = label_probabilities(scores, calibration)[:count].astype(np.float64)
    fits = np.clip(fits, _NEVER_QUITE, 1 - _NEVER_QUITE)
    ood_score = calibration.ood_threshold + calibration.ood_temperature * np.log(fits / (1 - fits))
    logits = ood_score + LABEL_COUNT_PENALTY * np.log(len(scores.labels))
    found, rivals = scores.candidates, scores.has_rival
    if found is not None:
        found = replace(found, rows=found.rows[:count], cosines=found.cosines[:count])
    return replace(
        decided,
        scores=replace(
            scores,
            pictures=scores.pictures[:count],
            logits=logits.astype(np.float32),
            negative_score=np.zeros(count, np.float32),
            nearest_negatives=scores.nearest_negatives[:count],
            mean_negative_logit=None,
            unwanted=None,
            smoothing=None,
            candidates=found,
            has_rival=None if rivals is None else rivals[:count],
        ),
        probabilities=decided.probabilities[:count],
        chosen=decided.chosen[:count],
        corrected=frozenset(row for row in decided.corrected if row < count),
    )
