"""Decisions -> advice on the labels: shelves without images, a shelf that received nearly all of
them, and labels that the images in "other" suggest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.constants import (
    DOMINANT_LEAST_IMAGES,
    DOMINANT_SHARE,
    EVEN_ODDS,
    SUGGESTED_SHELF_LEAST_IMAGES,
    SUGGESTED_WORDS_LEAST_IMAGES,
)
from zeroshelf.decisions.decide import Decisions
from zeroshelf.labels.advice import Advice, merged
from zeroshelf.labels.check import for_empty_shelves
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.normalise import comparable, phrase
from zeroshelf.labels.related_words import related_words
from zeroshelf.records import Scores

MOST_WORDS = 5  # suggested for one label at once


@dataclass(frozen=True, slots=True)
class WordsToAdd:
    """Words that the user may want to count as a label."""

    label: str
    words: tuple[str, ...]  # the one with the most images first
    rows: tuple[int, ...]  # images in "other" whose best label is `label` and that look like one


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


def words_to_add(
    decisions: Decisions,
    among: npt.NDArray[np.bool_] | None = None,
    least: int = SUGGESTED_WORDS_LEAST_IMAGES,
) -> tuple[WordsToAdd, ...]:
    """Words for labels, by the images in "other" whose nearest negative label is something that
    pictures of their best label may well show: ("people", ("child", "girl"), rows).

    The nearest of all negative labels counts here, also of those that the negative filter removed.
    Left out are images that are in "other" only because of a threshold or that the user corrected,
    labels with fewer than `least` such images, and the user's own negative labels.

    among: (N,), the images that are looked at; None: all. Most images first.
    """
    scores, column = decisions.scores, len(decisions.scores.labels)
    if decisions.closed or not len(decisions):
        return ()
    is_ood = decisions.probabilities[:, column] > EVEN_ODDS
    other = (decisions.chosen == column) & is_ood & (True if among is None else among)
    other[list(decisions.corrected)] = False
    best = decisions.probabilities[:, :column].argmax(axis=1)
    nearest = _nearest_of_all(scores)
    every, taken = negative_labels(), {comparable(name) for name in scores.labels.names}
    taken |= {comparable(text) for text in scores.labels.negatives}
    found = []
    for label in np.unique(best[other]):
        rows = np.flatnonzero(other & (best == label))
        if len(rows) < least:
            continue
        related = related_words(scores.resolved.each[label])
        names = {
            row: phrase(every[at].name)
            for row, at in zip(rows, nearest[rows], strict=True)
            if at in related
        }
        counts = Counter(name for name in names.values() if comparable(name) not in taken)
        words = tuple(name for name, _ in sorted(counts.items(), key=lambda o: (-o[1], o[0])))
        words = words[:MOST_WORDS]
        mine = tuple(int(row) for row, name in names.items() if name in words)
        if len(mine) >= least:
            found.append(WordsToAdd(scores.labels.names[label], words, mine))
    return tuple(sorted(found, key=lambda one: (-len(one.rows), one.label)))


def _nearest_of_all(scores: Scores) -> npt.NDArray[np.int32]:
    """(N,): the row of `negative_labels()` that is nearest to each image; -1 where that is none of
    them. Without candidates, the nearest that the negative filter left."""
    if scores.candidates is not None:
        return scores.candidates.rows[:, 0]
    row_of = {one.name: row for row, one in enumerate(negative_labels())}
    rows = np.array([row_of.get(name, -1) for name in scores.negative_names], np.int32)
    return np.asarray(rows[scores.nearest_negatives[:, 0]])
