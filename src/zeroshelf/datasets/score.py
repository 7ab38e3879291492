"""Labels over the embeddings of a dataset: what `zeroshelf score` does.

The answers are those of `sort` on the same folder (without stored corrections), row for row, since
the vectors are the same half-precision numbers in the same order, and every block goes through the
same functions (decisions/by_blocks.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zeroshelf.corrections import stored
from zeroshelf.datasets import about, parts, prepare, results, sample
from zeroshelf.datasets.places import Place
from zeroshelf.datasets.prepare import Dataset
from zeroshelf.datasets.row_file import scratch_files
from zeroshelf.decisions import by_blocks, closed_set, likely_negatives
from zeroshelf.decisions.blocks import in_threads
from zeroshelf.decisions.by_blocks import Decided, chunk_of
from zeroshelf.decisions.in_columns import CONFIDENCES
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.labels.advice import summary_lines
from zeroshelf.labels.check import serious
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import installed, select
from zeroshelf.output.tables import utf8
from zeroshelf.records import (
    OTHER,
    Calibration,
    Confidence,
    Encoder,
    LabelSet,
    Model,
    Progress,
    Request,
)
from zeroshelf.system import content_hash

_ITS_OWN = ("transferred", "measured")  # a calibration that was made for the model


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of scoring a dataset."""

    confidences: dict[str, dict[Confidence, int]]  # shelf -> confidence -> pictures
    unread: int  # rows without an embedding
    files: int  # of results
    notes: tuple[str, ...]  # for the user

    @property
    def counts(self) -> dict[str, int]:
        """Shelf -> number of pictures."""
        return {name: sum(tally.values()) for name, tally in self.confidences.items()}


def encoder_of(dataset: Place, name: str | None, device: str | None) -> Encoder:
    """The model that made the embeddings of a dataset; see `encoder_for`."""
    made_by = about.read(dataset)
    hint = made_by.model if made_by and name is None else None
    return encoder_for(prepare.model_digest(dataset), name, device, hint)


def encoder_for(
    digest: str, name: str | None, device: str | None = None, hint: str | None = None
) -> Encoder:
    """The model of that digest: the one of that name, else the first on this machine that has it.
    hint: a name that is tried first. Raises `UserError` where there is none."""
    if name is not None:
        model = select.find(name)
        if model.digest != digest:
            raise UserError(
                f"the embeddings were not made by the model {model.id}: leave --model out, or "
                "embed again"
            )
        return select.load(model, device)
    for one in _here(hint):
        if one.digest == digest:
            return select.load(one, device)
    raise UserError(
        "the model that made the embeddings is not on this machine: `zeroshelf models get` brings "
        "those of the catalogue, and --model names a folder"
    )


def _here(hint: str | None) -> Iterator[Model]:
    """The models on this machine."""
    for name in dict.fromkeys((hint, None, *select.starters(), *installed.ids())):
        try:
            yield select.find(name)
        except UserError:  # one that can't be used
            continue


def score(
    dataset: Place,
    labels: LabelSet,
    out: Place,
    *,
    encoder: Encoder | None = None,
    model: str | None = None,
    device: str | None = None,
    endpoint: str | None = None,
    threshold: float | None = None,
    other: bool = True,
    independent: bool = False,
    store: EmbeddingCache | None = None,
    progress: Progress | None = None,
    take: Callable[[pa.Table], None] | None = None,
) -> Scored:
    """Decide for every embedding of a dataset which label fits it, and write the results.

    dataset: the folder that `embed` wrote. out: a new folder for the results.
    encoder: the model that made the embeddings; None: found by its digest, or by `model`.
    endpoint: as for `places.place`, of pictures that are sampled (datasets/sample.py).
    threshold, other: as for `run.classify`.
    independent: decide about each picture by itself: the others in the dataset don't count, so that
        an answer doesn't change when pictures are added. By default the answers are those of a sort
        of all pictures as one folder.
    progress: called with stages, how much of each is done, and the total.
    take: called with each block of results as it is written, with the columns `digest` and `etag`
        of the dataset too.

    Raises `UserError`.
    """
    request = Request(dataset.uri, labels, "", threshold, other=other)
    closed_set.check(request)
    results.check_free(out)
    given, encoder = encoder, encoder or encoder_of(dataset, model, device)
    store = store or EmbeddingCache.open()
    known, texts = encoder.model, compute.text_embedder(encoder, store, progress)
    resolved = resolve(labels, texts, progress)
    with (
        _opened(dataset, known, texts, store, independent, endpoint, progress) as rows,
        scratch_files(rows.folder) as scratch,
        results.writing(out, labels, _facts(dataset, request, known, independent)) as writer,
    ):
        calibration = select.calibration(known)
        if given is None and not independent and calibration.origin not in _ITS_OWN:
            calibration = _transferred(rows, encoder, store, endpoint, progress) or calibration
        blocks = by_blocks.decide_by_blocks(
            rows.prepared, known, resolved, texts, calibration, request, scratch, progress
        )
        _write(rows, blocks, labels, writer, take)
        writer.add_errors(rows.errors)
        advice = summary_lines(serious(resolved, known, texts, rows.prepared.searched))
        notes = tuple(_notes(request, known, calibration, advice))
        return Scored(_confidences(writer.counts, request), len(rows.errors), writer.files, notes)


def _notes(
    request: Request, model: Model, calibration: Calibration, advice: Iterable[str]
) -> Iterator[str]:
    """Warnings for the user about a model with these labels, the advice on them in its place."""
    yield from select.notes(model, calibration, request.labels)
    if not request.other:
        yield closed_set.NOTE
    yield from advice
    yield from _not_followed(request.labels, model)


def _opened(
    dataset: Place,
    model: Model,
    texts: Texts,
    store: EmbeddingCache,
    independent: bool,
    endpoint: str | None,
    progress: Progress | None,
) -> AbstractContextManager[Dataset]:
    """The dataset, ready to be scored. A model that doesn't come with the vectors of the negative
    labels uses those that the starter finds in a sample, as in a sort; `independent`: all."""
    together, negatives = not independent, None
    if together and not likely_negatives.needs_all(model):
        negatives = partial(sample.negatives_of, store=store, progress=progress)
    return prepare.opened(
        dataset,
        model,
        texts,
        together=together,
        negatives=negatives,
        endpoint=endpoint,
        progress=progress,
    )


def _transferred(
    rows: Dataset,
    encoder: Encoder,
    store: EmbeddingCache,
    endpoint: str | None,
    progress: Progress | None,
) -> Calibration | None:
    """The calibration that a sort would transfer to the encoder's model, and that is stored."""
    with rows.sample(encoder.model, endpoint) as some:
        if some is None:
            return None
        return sample.calibration_of(some, encoder, store, rows.prepared.searched, progress)


def is_scored(
    dataset: Place,
    labels: LabelSet,
    out: Place,
    *,
    threshold: float | None = None,
    other: bool = True,
    independent: bool = False,
) -> bool:
    """Whether `out` has complete results of this very score. Arguments as for `score`."""
    request = Request(dataset.uri, labels, "", threshold, other=other)
    found = results.request_of(out)
    if found is None:
        return False
    return found == request_key(dataset, request, prepare.model_digest(dataset), independent)


def request_key(dataset: Place, request: Request, digest: str, independent: bool) -> str:
    """What the results depend on, as a name: the parts, the model by its digest, the labels and the
    options."""
    labels = json.dumps(asdict(request.labels), sort_keys=True)
    options = labels, request.threshold, request.other, independent
    given = repr((digest, parts.part_names(dataset), options))
    return content_hash.of_bytes(given.encode("utf-8", "surrogatepass")).hex()[:32]


def _write(
    rows: Dataset,
    blocks: Iterator[Decided],
    labels: LabelSet,
    writer: results.Writer,
    take: Callable[[pa.Table], None] | None,
) -> None:
    """Write the decisions about the pictures of a dataset, block by block."""
    names = ("uri",) if take is None else ("uri", "digest", "etag")
    columns = (rows.column(name, chunk_of(len(labels))) for name in names)

    def made(given: tuple[Any, ...]) -> tuple[pa.Table, npt.NDArray[np.int64], list[pa.Array]]:
        block, uris, *more = given
        return *writer.table(uris, block), more

    given = zip(blocks, *columns, strict=True)
    for table, tally, more in in_threads(made, given, by_blocks.DECIDERS):
        writer.add(table, tally)
        if take is not None:
            digests, etags = more
            take(table.append_column("digest", digests).append_column("etag", etags))


def _facts(dataset: Place, request: Request, model: Model, independent: bool) -> dict[str, str]:
    """The metadata of the files of results."""
    return {
        "zeroshelf.labels": "\n".join(utf8(name) for name in (*request.labels.names, OTHER)),
        "zeroshelf.model": utf8(model.id),
        "zeroshelf.model_digest": model.digest,
        "zeroshelf.independent": str(independent).lower(),
        results.REQUEST: request_key(dataset, request, model.digest, independent),
    }


def _confidences(
    counts: npt.NDArray[np.int64], request: Request
) -> dict[str, dict[Confidence, int]]:
    names = (*request.labels.names, *((OTHER,) if request.other else ()))
    return {
        name: dict(zip(CONFIDENCES, map(int, row), strict=True))
        for name, row in zip(names, counts, strict=False)
    }


def _not_followed(labels: LabelSet, model: Model) -> Iterator[str]:
    if number := len(stored.load_for(labels, model)):
        yield f"stored corrections for these labels are not followed here: {number:,}; sort does"
