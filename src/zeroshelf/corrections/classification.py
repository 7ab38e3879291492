"""Request, embeddings, calibration and corrections -> `Classification`: the decisions of one run.

`make` is the one function from which every run gets its decisions: `classify`, `reopen`,
`Run.relabel`, `Run.correct` and the review page all call it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

from zeroshelf import checks
from zeroshelf.corrections import follow
from zeroshelf.corrections.given import rows_of
from zeroshelf.decisions import closed_set, context, decide
from zeroshelf.decisions.before_labels import BeforeLabels
from zeroshelf.decisions.decide import Decisions
from zeroshelf.decisions.evaluate import Evaluation, Truth, evaluate
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

    def __len__(self) -> int:
        """N, the number of pictures."""
        return len(self.decisions)

    def __iter__(self) -> Iterator[Decision]:
        """The decisions, in the order of `embeddings.pictures`."""
        return iter(self.decisions)

    @overload
    def __getitem__(self, key: int) -> Decision: ...
    @overload
    def __getitem__(self, key: str | slice) -> list[Decision]: ...
    def __getitem__(self, key: int | str | slice) -> Decision | list[Decision]:
        """run["cat"]: the decisions for a label or for "other", as `shelf` gives them; run[3]: that
        of row 3; run[:3]: those of the first three rows. Raises `IndexError` for a row that is not
        there, and `UserError` for a label that is not there or a key of another type."""
        if isinstance(key, str):
            return self.shelf(key)
        if not isinstance(key, slice):
            key = checks.whole(key, "a row of a run")
        return self.decisions[key]

    @property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """(N, K + 1): P(label) of each picture in the order of `labels`, then P(other); each row
        sums to 1."""
        return self.decisions.probabilities

    def evaluate(self, truth: Truth) -> Evaluation:
        """Compare the decisions with the truth.

        truth: a picture's path (absolute, or below the run's folder) -> its label, or all labels
            that are true of it. A name that is no label of this run means "other". Pictures
            without a truth are not looked at.

        Returns: accuracies, precision and recall of each label, and which decisions are wrong.
        Raises `UserError` for a path that is no picture of the run.
        """
        given = checks.mapping(truth, "truth", 'a mapping, {"a.jpg": "cat"}')
        rows = rows_of(self.request, self.embeddings, given)
        return evaluate(self.decisions, dict(zip(rows, given.values(), strict=True)))

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
        """Shelf -> number of pictures, in the order of the labels, "other" last. A closed set has
        "other" only if the user put a picture there."""
        tally = Counter(self.decisions.labels)
        other = (OTHER,) if self.request.other or tally[OTHER] else ()
        return {name: tally[name] for name in (*self.labels.names, *other)}

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
    known: BeforeLabels | None = None,
    progress: Progress | None = None,
    beside: Embeddings | None = None,
) -> Classification:
    """Decide about every picture of `embeddings`. Equal arguments give equal decisions.

    calibration: of the model that made the embeddings.
    texts: embeds the texts of the labels.
    negatives: the negative labels that are used; None: all.
    before: an earlier classification of the same embeddings. Its scores are used again as far as
        the requests agree; the decisions are the same without it.
    known: what no label changes of the scores of these embeddings; None: it is computed.
    beside: pictures of the same collection, made by the same model. The decisions are those that
        these pictures and `embeddings` would get as one folder; none is made about them.
    progress: told of the stage "deciding", and of the texts as they are embedded.
    Raises `UserError` for a closed set that can't be one (decisions/closed_set.py).
    """
    closed_set.check(request)
    if progress:
        progress("deciding", 0, 0)
    everything = embeddings
    if beside is not None:
        everything, before, known = context.joined(embeddings, beside), None, None
    if before is not None and before.labels == request.labels:
        scores, advice = before.decisions.scores, before.advice
    else:
        resolved = resolve(request.labels, texts, progress)
        earlier = known if before is None else before.decisions.scores
        scores = score(everything, resolved, texts, earlier, progress, negatives)
        advice = serious(resolved, embeddings.model, texts, negatives)
    same = before is not None and before.request == request
    if before is not None and same and before.decisions.calibration == calibration:
        decided = before.uncorrected
    else:
        decided = decide.decide(
            scores,
            calibration,
            threshold=request.threshold,
            offset=request.offset,
            closed=not request.other,
        )
    corrected = follow.follow(request, everything, decided, corrections, texts)
    if beside is not None:
        corrected, decided = (context.first(d, len(embeddings)) for d in (corrected, decided))
    return Classification(request, embeddings, corrections, corrected, decided, advice)
