"""Request, embeddings, calibration and corrections -> `Classification`: the decisions of one run.

`make` is the one function from which every run gets its decisions: `classify`, `reopen`,
`Run.relabel`, `Run.correct` and the review page all call it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zeroshelf import checks
from zeroshelf.corrections import follow
from zeroshelf.decisions import decide
from zeroshelf.decisions.decide import Decisions
from zeroshelf.decisions.scores import score
from zeroshelf.errors import UserError
from zeroshelf.labels.advice import Advice
from zeroshelf.labels.check import serious
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import (
    OTHER,
    Calibration,
    Confidence,
    Corrections,
    Decision,
    Embeddings,
    Ignored,
    LabelSet,
    Model,
    NegativeRows,
    Progress,
    Request,
    Skipped,
)


@dataclass(frozen=True, eq=False, repr=False)  # no slots: `also` is computed once, when needed
class Classification:
    """The decisions of a run and all that they were derived from. N pictures, K labels."""

    request: Request
    embeddings: Embeddings  # N pictures; row i is decision i
    corrections: Corrections  # that the decisions follow
    decisions: Decisions  # N
    uncorrected: Decisions  # N, what the model decides without any correction
    advice: tuple[Advice, ...]  # what is seriously wrong with the labels

    @property
    def labels(self) -> LabelSet:
        """The labels of the request."""
        return self.decisions.scores.labels

    @property
    def model(self) -> Model:
        """The model that embedded pictures and labels."""
        return self.embeddings.model

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The files that could not be used, each with the reason."""
        return self.embeddings.skipped

    @property
    def ignored(self) -> Ignored:
        """Counts of the files that are not pictures and of what the scan left out."""
        return self.embeddings.ignored

    @cached_property
    def also(self) -> list[tuple[str, ...]]:
        """N tuples: the labels that fit a picture too, besides the label of its shelf."""
        found: list[list[str]] = [[] for _ in self.embeddings.pictures]
        for row, column in np.argwhere(decide.also(self.decisions)):
            found[row].append(self.labels.names[column])
        return [tuple(names) for names in found]

    @property
    def counts(self) -> dict[str, int]:
        """Shelf -> number of pictures, in the order of the labels, "other" last."""
        tally = Counter(self.decisions.labels)
        return {name: tally[name] for name in (*self.labels.names, OTHER)}

    @property
    def confidences(self) -> dict[str, dict[Confidence, int]]:
        """Shelf -> confidence -> number of pictures, shelves in the order of `counts`."""
        tally: dict[str, dict[Confidence, int]] = {
            name: {"sure": 0, "likely": 0, "unsure": 0} for name in self.counts
        }
        for row, label in enumerate(self.decisions.labels):
            tally[label][decide.confidence_of(self.decisions, row)] += 1
        return tally

    def shelf(self, label: str) -> list[Decision]:
        """The decisions for `label` (a label's name or "other"), the most probable first. Raises
        `UserError` if the run has no such label."""
        if checks.text(label, "label") not in (*self.labels.names, OTHER):
            raise UserError(f"no label {label!r} in this run; there are {', '.join(self.counts)}")
        rows = [row for row, name in enumerate(self.decisions.labels) if name == label]
        found = [self.decisions[row] for row in rows]
        return sorted(found, key=lambda decision: -decision.probability)


def make(
    request: Request,
    embeddings: Embeddings,
    calibration: Calibration,
    corrections: Corrections,
    texts: Texts,
    *,
    negatives: NegativeRows | None = None,
    before: Classification | None = None,
    progress: Progress | None = None,
) -> Classification:
    """Decide about every picture of `embeddings`. Equal arguments give equal decisions.

    calibration: of the model that made the embeddings.
    texts: embeds the texts of the labels.
    negatives: the negative labels that are used; None: all.
    before: an earlier classification of the same embeddings. Its scores are used again as far as
        the requests agree; the decisions are the same without it.
    progress: told of the stage "deciding", and of the texts as they are embedded.
    """
    if progress:
        progress("deciding", 0, 0)
    if before is not None and before.labels == request.labels:
        scores, advice = before.decisions.scores, before.advice
    else:
        known = None if before is None else before.decisions.scores
        resolved = resolve(request.labels, texts, progress)
        scores = score(embeddings, resolved, texts, known, progress, negatives)
        advice = serious(resolved, embeddings.model, texts, negatives)
    same = before is not None and before.request == request
    if before is not None and same and before.decisions.calibration == calibration:
        decided = before.uncorrected
    else:
        decided = decide.decide(
            scores, calibration, threshold=request.threshold, offset=request.offset
        )
    corrected = follow.follow(request, embeddings, decided, corrections, texts)
    return Classification(request, embeddings, corrections, corrected, decided, advice)
