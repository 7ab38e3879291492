"""What the review page shows of a run, saved beside its record as arrays: `page.arrays`.

With it a page of a million pictures opens in seconds: no picture is decided about anew. It says
nothing that the other files of the record and the cache don't say. It is used only where all that
the decisions depend on is as it was when it was written; where it is missing, damaged or outdated,
the run is decided about anew.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from zeroshelf.corrections.classification import Classification
from zeroshelf.decisions import before_labels
from zeroshelf.decisions.decide import Decisions
from zeroshelf.output import notes
from zeroshelf.records import (
    Calibration,
    LabelSet,
    Model,
    NegativeCandidates,
    Picture,
    Request,
    ResolvedLabels,
    Scores,
    Skipped,
)
from zeroshelf.runs import array_file
from zeroshelf.runs.array_file import Arrays
from zeroshelf.system import content_hash, file_versions

NAME = "page.arrays"  # of the run as it was saved
EDITED = "page-edited.arrays"  # under other labels or another offset, by the edits of its page
_PARTS = ("request.json", "corrections.jsonl")  # of the record, on which the decisions depend
_NEAREST = 0  # of the negative labels before the negative filter


@dataclass(frozen=True, slots=True)
class PageFile:
    """What a run's review page shows. N pictures, K labels."""

    paths: list[str]  # N, below the run's folder, with "/" on every system
    pictures: Sequence[Picture]  # N, each made when it is asked for
    digests: npt.NDArray[np.uint8]  # (N, 32), BLAKE3 of each picture's content
    near_duplicates: tuple[tuple[int, ...], ...]  # groups of rows
    # N. Their labels are not resolved; of the scores only what explains a decision is there, and
    # of the candidates only the nearest.
    decisions: Decisions
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]  # warnings about the decisions and the pictures


class Pictures(Sequence[Picture]):
    """N pictures, each made of its row when it is asked for."""

    def __init__(self, root: str, paths: Sequence[str], sizes: Any, changed: Any) -> None:
        self._root, self._paths = _beginning(root), paths
        self._sizes, self._changed = sizes, changed

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        path = self._root + self._paths[row].replace("/", os.sep)
        return Picture(path, "", int(self._sizes[row]), int(self._changed[row]), 0)


def save(
    record: str,
    made: Classification,
    near_duplicates: Sequence[Sequence[int]],
    renamed: Mapping[str, str] | None = None,
) -> None:
    """Write the file into the folder `record`, which has the run's request and corrections already.

    renamed: of a run under edits, first labels -> their present names; None: as it was saved.
    Nothing is written of a run whose decisions depend on other runs, or whose pictures have a path
    or a time that the file can't hold. Raises `OSError`.
    """
    if made.request.in_context:
        return
    with contextlib.suppress(OverflowError, ValueError):  # a file of the year 30828 on a share
        arrays = _arrays(made, near_duplicates)
        scores = made.decisions.scores
        facts = {
            "key": _key(
                record, made.request, renamed or {}, made.model, made.decisions.calibration
            ),
            "negative_names": scores.negative_names,
            "closed": made.decisions.closed,
            "skipped": [[one.path, one.reason] for one in made.skipped],
            "notes": list(notes.of_decisions(made)),
        }
        name = NAME if renamed is None else EDITED
        array_file.write(os.path.join(record, name), file_versions.PAGE, facts, arrays)


def load(
    record: str,
    name: str,
    request: Request,
    renamed: Mapping[str, str],
    model: Model,
    calibration: Calibration,
) -> PageFile | None:
    """What `save` wrote; None where there is no such file, or where something that the decisions
    depend on is another by now.

    name: NAME or EDITED. request, renamed: what it is to be for. model: the one that the request
    names. calibration: that model's.
    Raises `NewerFile` where a newer zeroshelf wrote it, and `ValueError` where it is damaged.
    """
    try:
        facts, arrays = array_file.read(os.path.join(record, name), file_versions.PAGE)
    except OSError:
        return None
    if facts["key"] != _key(record, request, renamed, model, calibration):
        return None
    paths = _texts(arrays["paths"])
    pictures = Pictures(request.folder, paths, arrays["sizes"], arrays["changed"])
    decided = _decisions(facts, arrays, pictures, request.labels, model, calibration)
    grouped = iter(arrays["groups"].tolist())
    sizes = arrays["group_sizes"].tolist()
    return PageFile(
        paths=paths,
        pictures=pictures,
        digests=arrays["digests"],
        near_duplicates=tuple(tuple(itertools.islice(grouped, size)) for size in sizes),
        decisions=decided,
        skipped=tuple(Skipped(path, reason) for path, reason in facts["skipped"]),
        notes=tuple(facts["notes"]),
    )


def relative(paths: Sequence[str], root: str) -> Iterator[str]:
    """Paths of files below `root`, below it, with "/" on every system. Raises `ValueError` for one
    that is not `root` with a normalised path below it."""
    beginning = _beginning(root)
    for path in paths:
        if not path.startswith(beginning):
            raise ValueError(f"{path!a} is not below {root!a}")
        yield path[len(beginning) :].replace(os.sep, "/")


def _beginning(root: str) -> str:
    return root if root.endswith(os.sep) else root + os.sep


def _arrays(made: Classification, near_duplicates: Sequence[Sequence[int]]) -> Arrays:
    decided, pictures = made.decisions, made.embeddings.pictures
    scores, count = decided.scores, len(decided)
    paths = list(relative([one.path for one in pictures], made.request.folder))
    text = "\0".join(paths).encode("utf-8", "surrogatepass")
    digests = np.frombuffer(b"".join(made.embeddings.digests), np.uint8)
    arrays: dict[str, npt.NDArray[Any]] = {
        "paths": np.frombuffer(text, np.uint8),
        "digests": digests.reshape(count, 32),
        "sizes": np.array([one.size for one in pictures], np.int64),
        "changed": np.array([one.mtime_ns for one in pictures], np.int64),
        "probabilities": decided.probabilities,
        "chosen": decided.chosen,
        "corrected": np.array(sorted(decided.corrected), np.int64),
        "nearest_negatives": scores.nearest_negatives,
        "groups": np.array([row for group in near_duplicates for row in group], np.int64),
        "group_sizes": np.array([len(group) for group in near_duplicates], np.int64),
    }
    if scores.has_rival is not None:
        arrays["has_rival"] = scores.has_rival
    if scores.candidates is not None:
        arrays["nearest"] = scores.candidates.rows[:, _NEAREST]
    return arrays


def _decisions(
    facts: dict[str, Any],
    arrays: Arrays,
    pictures: Pictures,
    labels: LabelSet,
    model: Model,
    calibration: Calibration,
) -> Decisions:
    count, nearest = len(pictures), arrays.get("nearest")
    candidates = None
    if nearest is not None:
        rows = np.asarray(nearest[:, None])
        candidates = NegativeCandidates(rows, np.full(rows.shape, np.nan, np.float32))
    nothing = np.empty((0, len(labels)), np.float32)  # a mistake fails; it doesn't decide wrongly
    scores = Scores(
        pictures=cast("tuple[Picture, ...]", pictures),
        resolved=ResolvedLabels(labels, ()),
        logits=nothing,
        negative_score=nothing[:, 0],
        nearest_negatives=arrays["nearest_negatives"],
        negative_names=tuple(facts["negative_names"]),
        model=model,
        candidates=candidates,
        has_rival=arrays.get("has_rival"),
    )
    shape = arrays["probabilities"].shape
    if shape != (count, len(labels) + 1) or {len(arrays["chosen"]), len(arrays["digests"])} != {
        count
    }:
        raise ValueError("its arrays are of other pictures")
    return Decisions(
        scores,
        calibration,
        arrays["probabilities"],
        arrays["chosen"],
        corrected=frozenset(arrays["corrected"].tolist()),
        closed=bool(facts["closed"]),
    )


def _texts(blob: npt.NDArray[np.uint8]) -> list[str]:
    """The texts that "\\0" separates: none of a path has it. An empty blob has no texts."""
    return blob.tobytes().decode("utf-8", "surrogatepass").split("\0") if len(blob) else []


def _key(
    record: str,
    request: Request,
    renamed: Mapping[str, str],
    model: Model,
    calibration: Calibration,
) -> str:
    """Stands for all that the decisions depend on but the pictures: the request, the corrections in
    the record, the model, its calibration, the negative labels, the constants and the code."""
    code = import_module("zeroshelf").__version__, before_labels.made_by()
    asked = asdict(request), sorted(renamed.items()), model.digest, asdict(calibration)
    parts = [repr((code, asked)).encode("utf-8", "surrogatepass")]
    for name in _PARTS:
        with contextlib.suppress(FileNotFoundError), open(os.path.join(record, name), "rb") as file:
            parts.append(content_hash.of_file(file))
    return content_hash.of_bytes(b"\n".join(parts)).hex()
