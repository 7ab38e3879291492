"""The data types of a run, in pipeline order. Read this file first.

folder -> pictures -> embeddings -> scores -> decisions -> plan -> apply -> report

Every path is an absolute `str` as `os.fsdecode` gives it: a name that is no valid UTF-8 has lone
surrogates and goes back to the same bytes through `os.fsencode`. A record never changes once it is
made, and identity travels with its row: `scores.pictures[i]` is row i of every array in `scores`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from zeroshelf.records.actions import (
    LABEL_ONLY,
    Action,
    ActionKind,
    Outcome,
    Plan,
    PlanRequest,
)
from zeroshelf.records.decisions import (
    Confidence,
    Correction,
    Corrections,
    Decision,
    Embeddings,
    NegativeCandidates,
    NegativeRows,
    Request,
    Scores,
    Smoothing,
)
from zeroshelf.records.images import (
    Folder,
    Ignored,
    Picture,
    Skipped,
)
from zeroshelf.records.labels import (
    OTHER,
    Label,
    LabelSet,
    ResolvedLabel,
    ResolvedLabels,
    ResolvedWord,
    Synset,
)
from zeroshelf.records.models import (
    Calibration,
    Encoder,
    Model,
    Pixels,
    Preprocessing,
    Vectors,
)

# what is done, how much so far, of how many (0 if the total is unknown)
Progress: TypeAlias = Callable[[str, int, int], None]

__all__ = [
    "LABEL_ONLY", "OTHER", "Action", "ActionKind", "Calibration", "Confidence", "Correction",
    "Corrections", "Decision", "Embeddings", "Encoder", "Folder", "Ignored", "Label", "LabelSet",
    "Model", "NegativeCandidates", "NegativeRows", "Outcome", "Picture", "Pixels", "Plan",
    "PlanRequest",
    "Preprocessing", "Progress", "Request", "ResolvedLabel", "ResolvedLabels", "ResolvedWord",
    "Scores", "Skipped", "Smoothing", "Synset", "Vectors",
]  # fmt: skip
