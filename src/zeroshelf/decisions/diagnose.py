"""Decisions -> advice on the labels: shelves without images, a shelf that received nearly all of
them, and labels that the images in "other" suggest."""

from __future__ import annotations

import numpy as np

from zeroshelf.decisions.constants import (
    DOMINANT_LEAST_IMAGES,
    DOMINANT_SHARE,
    EVEN_ODDS,
    SUGGESTED_SHELF_LEAST_IMAGES,
)
from zeroshelf.decisions.decide import Decisions
from zeroshelf.labels.advice import Advice, merged
from zeroshelf.labels.check import for_empty_shelves
from zeroshelf.labels.normalise import phrase


def diagnose(decisions: Decisions) -> tuple[Advice, ...]:
    """Advice after a run on labels without images, and on one with nearly all images."""
    names, model = decisions.scores.labels.names, decisions.scores.model
    counts = np.bincount(decisions.chosen, minlength=len(names) + 1)[:-1]
    empty = set(np.flatnonzero(counts == 0).tolist()) if len(decisions) else set()
    found = for_empty_shelves(decisions.scores.resolved, empty, model)
    kept = int(counts.sum())
    for name, count in zip(names, counts, strict=True):
        if len(names) > 1 and kept >= DOMINANT_LEAST_IMAGES and count > DOMINANT_SHARE * kept:
            found.append(
                Advice(
                    (name,), f"got {count:,} of {kept:,} pictures", "split it into narrower labels"
                )
            )
    return merged(found)


def shelves_to_add(
    decisions: Decisions, least: int = SUGGESTED_SHELF_LEAST_IMAGES
) -> tuple[tuple[str, int], ...]:
    """Negative labels that are nearest to at least `least` images in "other", with the number of
    images, most first: ("harbour", 217). The user's own negative labels are left out, and so are
    images that are in "other" only because of a threshold."""
    scores, column = decisions.scores, len(decisions.scores.labels)
    is_ood = decisions.probabilities[:, column] > EVEN_ODDS
    other = np.flatnonzero((decisions.chosen == column) & is_ood)
    rows, counts = np.unique(scores.nearest_negatives[other, 0], return_counts=True)
    totals: dict[str, int] = {}
    for row, count in zip(rows, counts, strict=True):
        if scores.negative_names[row] not in scores.labels.negatives:
            name = phrase(scores.negative_names[row])  # the scene "a harbour" counts as "harbour"
            totals[name] = totals.get(name, 0) + int(count)
    many = [(name, count) for name, count in totals.items() if count >= least]
    return tuple(sorted(many, key=lambda found: (-found[1], found[0])))
