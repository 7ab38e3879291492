"""A request and embeddings become scores and decisions, which the user corrects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf.records.images import Ignored, Picture, Skipped
from zeroshelf.records.labels import LabelSet, ResolvedLabels
from zeroshelf.records.models import Model

Confidence: TypeAlias = Literal["sure", "likely", "unsure"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a run was asked to do. The same request, embeddings, corrections and calibration of the
    model always give the same decisions."""

    folder: str
    labels: LabelSet
    model: str  # its id
    threshold: float | None = None
    offset: float = 0.0  # logits added to every picture's score: above 0, fewer go to "other"
    other: bool = True  # False: a closed set, every picture is on the shelf of its best label
    in_context: bool = False  # judged among the pictures that earlier runs put on these shelves


@dataclass(frozen=True, slots=True)
class Embeddings:
    pictures: tuple[Picture, ...]
    digests: tuple[bytes, ...]  # BLAKE3 of each picture's content, 32 bytes
    vectors: npt.NDArray[np.float16]  # (N, D), each row of length 1; half the memory of float32
    skipped: tuple[Skipped, ...]  # those of the folder and those that failed to decode
    model: Model
    notes: Mapping[int, str] = field(
        default_factory=dict
    )  # row -> "cut short: ...", or a quality problem
    ignored: Ignored = field(default_factory=Ignored)  # what the scan passed by

    def __len__(self) -> int:
        return len(self.pictures)

    def some(self, rows: Iterable[int]) -> Embeddings:
        """Those rows, in that order."""
        at = [int(row) for row in rows]
        return Embeddings(
            pictures=tuple(self.pictures[row] for row in at),
            digests=tuple(self.digests[row] for row in at),
            vectors=self.vectors[at],
            skipped=self.skipped,
            model=self.model,
            notes={new: self.notes[old] for new, old in enumerate(at) if old in self.notes},
            ignored=self.ignored,
        )


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Which images of one folder are similar. Does not depend on the labels
    (decisions/smoothing.py)."""

    neighbours: npt.NDArray[np.int32]  # (N, S), rows of each image's nearest neighbours
    cosines: npt.NDArray[np.float32]  # (N, S), between embeddings centred on the folder's mean
    coordinates: npt.NDArray[np.float16]  # (N, R), each image on the folder's principal axes


@dataclass(frozen=True, slots=True)
class NegativeRows:
    """The negative labels that one folder's decisions use, of a model for which embedding all of
    them takes minutes (decisions/likely_negatives.py). Both in ascending order."""

    rows: npt.NDArray[np.int32]  # (R,), in the unfiltered list of negative labels
    cohort: npt.NDArray[np.int32]  # (C,), those among them that are the same for every folder


@dataclass(frozen=True, slots=True)
class NegativeCandidates:
    """The nearest negative labels of each image before the negative filter. Does not depend on the
    labels."""

    rows: npt.NDArray[np.int32]  # (N, M), in the unfiltered list of negative labels, nearest first
    cosines: npt.NDArray[np.float32]  # (N, M)
    searched: NegativeRows | None = None  # those that were searched; None: all


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says, before anything is decided. How far the best label's logit lies above
    the negative score is measured with logits normalised per text (decisions/scores.py)."""

    pictures: tuple[Picture, ...]  # empty where vectors were scored that belong to no file
    resolved: ResolvedLabels
    logits: npt.NDArray[np.float32]  # (N, K), each label's best over its own words
    negative_score: npt.NDArray[np.float32]  # (N,), mean logit of the five nearest negatives
    nearest_negatives: npt.NDArray[np.int32]  # (N, 3), in `negative_names`, nearest first
    negative_names: tuple[str, ...]  # of the negative labels after the filter, as shown to users
    model: Model
    mean_negative_logit: npt.NDArray[np.float32] | None = None  # (N,), over all negative labels
    smoothing: Smoothing | None = None  # None: each image is decided on its own
    candidates: NegativeCandidates | None = None  # kept for scoring under other labels
    has_rival: npt.NDArray[np.bool_] | None = None  # (N,), a sibling of the best label fits as well
    # (N,), logits by which what the user keeps from every shelf fits better; None: there is no such
    unwanted: npt.NDArray[np.float32] | None = None

    @property
    def labels(self) -> LabelSet:
        return self.resolved.labels


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one image, beside what the model said."""

    picture: Picture
    label: str  # a label's name, or OTHER
    top_label: str  # the label that fits best, also where `label` is OTHER
    probability: float  # of `label`, P(label) or P(other)
    margin: float  # between the best label's probability and the next best answer's
    confidence: Confidence
    reason: str  # one line, for the user
    top: tuple[tuple[str, float], ...]  # the five best labels with P(label)
    looks_like: str | None  # the nearest negative, where `label` is OTHER


@dataclass(frozen=True, slots=True)
class Correction:
    """The label that the user gave to one picture."""

    label: str  # a label's name, or OTHER
    vector: npt.NDArray[np.float16]  # (D,), of length 1: neither file nor cache is needed any more


@dataclass(frozen=True, slots=True)
class Corrections:
    """All corrections of a run: those that change other pictures too, and those that do not.

    None is ever dropped: a correction to a label that the run does not have is followed again as
    soon as the run has that label. A digest is the BLAKE3 hash of a picture's content in hex, so
    that a correction applies wherever the file lies; a path is as in `Picture`.
    """

    stored: Mapping[str, Correction] = field(default_factory=dict)  # digest -> from earlier runs
    given: Mapping[str, Correction] = field(default_factory=dict)  # digest -> given in this run
    reviewed: Mapping[str, str] = field(default_factory=dict)  # path -> label, on the review page
    accepted: Mapping[str, str] = field(default_factory=dict)  # path -> label, from a suggestion

    @property
    def followed(self) -> Mapping[str, Correction]:
        """Those that the decisions about other pictures are adapted to, digest -> correction. One
        given in this run replaces a stored one about the same content."""
        return {**self.stored, **self.given}
