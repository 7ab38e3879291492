"""What a run's decisions say about its labels: shelves that stayed empty, one that drew everything,
and what the pictures in "other" look like."""

from __future__ import annotations

import numpy as np

from zeroshelf.decisions.decide import Decisions
from zeroshelf.labels.advice import Advice, merged
from zeroshelf.labels.check import for_empty_shelves
from zeroshelf.labels.normalise import phrase

EVERYTHING = 0.9  # a shelf with more of the kept pictures than this drew everything
ENOUGH = 20  # pictures on shelves before that can be said


def diagnose(decisions: Decisions) -> tuple[Advice, ...]:
    """Advice after a run: labels that drew nothing, and one that drew everything."""
    names, model = decisions.scores.labels.names, decisions.scores.model
    counts = np.bincount(decisions.chosen, minlength=len(names) + 1)[:-1]
    empty = set(np.flatnonzero(counts == 0).tolist()) if len(decisions) else set()
    found = for_empty_shelves(decisions.scores.resolved, empty, model)
    kept = int(counts.sum())
    for name, count in zip(names, counts, strict=True):
        if len(names) > 1 and kept >= ENOUGH and count > EVERYTHING * kept:
            found.append(
                Advice((name,), f"drew {count:,} of {kept:,} pictures", "split it into kinds")
            )
    return merged(found)


def shelves_to_add(decisions: Decisions, least: int = 10) -> tuple[tuple[str, int], ...]:
    """What many of the pictures in "other" look like, most first: ("harbour", 217). Not what the
    user said is on no shelf, and none that only a threshold keeps off a label's shelf.
    """
    scores, column = decisions.scores, len(decisions.scores.labels)
    strange = decisions.probabilities[:, column] > 0.5
    other = np.flatnonzero((decisions.chosen == column) & strange)
    rows, counts = np.unique(scores.nearest[other, 0], return_counts=True)
    totals: dict[str, int] = {}
    for row, count in zip(rows, counts, strict=True):
        if scores.negatives[row] not in scores.labels.negatives:
            name = phrase(scores.negatives[row])  # "a harbour" is a negative scene, too
            totals[name] = totals.get(name, 0) + int(count)
    many = [(name, count) for name, count in totals.items() if count >= least]
    return tuple(sorted(many, key=lambda found: (-found[1], found[0])))
