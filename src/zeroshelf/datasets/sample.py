"""A sample of a dataset's pictures, for what a model without negative labels of its own needs of
them: the starter's view of the same pictures (decisions/likely_negatives.py).

The rows are those that a sort of the same pictures would choose. Local pictures are read where they
lie; others are fetched into temporary files. None is read from inside a tar or a Parquet file: that
would fetch all of them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zeroshelf.datasets.containers import TAR_SUFFIXES
from zeroshelf.datasets.places import local_path, place
from zeroshelf.decisions import calibration_transfer, likely_negatives
from zeroshelf.decisions.smoothing import ImageRows
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.models import select
from zeroshelf.records import (
    Calibration,
    Embeddings,
    Encoder,
    Model,
    NegativeRows,
    Picture,
    Progress,
)
from zeroshelf.system.uris import scheme_of

_FETCHERS = 8  # requests that are open at once
_FILE = "searched.npz"  # of the negative labels, where they aren't all


@contextlib.contextmanager
def opened(
    uris: pa.ChunkedArray,
    digests: pa.ChunkedArray,
    vectors: ImageRows,
    model: Model,
    notes: Mapping[int, str],
    endpoint: str | None,
) -> Iterator[Embeddings | None]:
    """The embeddings of a sample, with local files as its pictures; None: its pictures can't be
    read one by one, or rows have no digest, by which the sample is chosen. A picture that is not
    there any more has the path of a file that isn't either.

    uris, digests: (N,) texts, in the order of the paths. vectors: (N, D), made by `model`.
    notes: row -> a note of images/quality.py. endpoint: as for `places.place`.
    """
    order = pc.sort_indices(digests).to_numpy()  # as `likely_negatives.sample_rows` has them
    rows = np.sort(order[likely_negatives.sample_places(len(order))]).astype(np.int64)
    chosen = uris.take(pa.array(rows)).to_pylist()
    if digests.null_count or any(_is_member(uri) for uri in chosen):
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Embeddings(
            pictures=tuple(_picture(path) for path in _files(chosen, folder, endpoint)),
            digests=tuple(map(bytes.fromhex, digests.take(pa.array(rows)).to_pylist())),
            vectors=vectors[rows],
            skipped=(),
            model=model,
            notes={at: notes[row] for at, row in enumerate(rows.tolist()) if row in notes},
        )


def negatives_of(
    sample: Embeddings, store: EmbeddingCache, progress: Progress | None
) -> NegativeRows | None:
    """The negative labels that the pictures of a dataset can need; None: all, as the starter knows
    none of the sample's pictures and can't read them either."""
    likely_negatives.starter_sample(sample, store, progress)
    starter = select.find("starter")
    known, _ = store.vectors(starter.digest, sample.digests)
    return likely_negatives.of_known(sample, store) if known.any() else None


def save(negatives: NegativeRows | None, folder: str) -> None:
    """Keep the negative labels of a dataset in `folder`, for `load`. Raises `OSError`."""
    if negatives is not None:
        np.savez(os.path.join(folder, _FILE), rows=negatives.rows, cohort=negatives.cohort)


def load(folder: str) -> NegativeRows | None:
    """The negative labels that `save` has kept; None: all."""
    if not os.path.exists(path := os.path.join(folder, _FILE)):
        return None
    with np.load(path) as file:
        return NegativeRows(file["rows"], file["cohort"])


def calibration_of(
    sample: Embeddings,
    encoder: Encoder,
    store: EmbeddingCache,
    negatives: NegativeRows | None,
    progress: Progress | None,
) -> Calibration | None:
    """The calibration that the first sort of these pictures would transfer from the starter, and
    store; None where that can't be done. A picture that has changed since it was embedded is left
    out."""
    now = likely_negatives.starter_sample(sample, store, progress)
    digest_of = {one.path: digest for one, digest in zip(now.pictures, now.digests, strict=True)}
    same = [
        row
        for row, picture in enumerate(sample.pictures)
        if digest_of.get(picture.path) == sample.digests[row]
    ]
    return calibration_transfer.calibrate_once(
        sample.some(same), encoder, store, negatives, progress
    )


def _is_member(uri: str) -> bool:
    """Whether a picture lies in a tar or a Parquet file."""
    container, _, member = uri.rpartition("#")
    return bool(member) and container.lower().endswith((*TAR_SUFFIXES, ".parquet"))


def _files(uris: list[str], folder: str, endpoint: str | None) -> list[str]:
    """Local files with the content of the pictures, in the same order."""

    def fetched(number: int) -> str:
        uri = uris[number]
        if scheme_of(uri) in ("", "file"):
            return local_path(uri)
        path = os.path.join(folder, f"{number}{os.path.splitext(uri)[1].lower()}")
        with contextlib.suppress(OSError, UserError):  # then there is no such file
            content = place(uri, endpoint).read()
            with open(path, "wb") as file:
                file.write(content)
        return path

    with ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch") as pool:
        return list(pool.map(fetched, range(len(uris))))


def _picture(path: str) -> Picture:
    try:
        at = os.stat(path)
    except OSError:
        return Picture(path, "", 0, 0, 0)
    return Picture(path, "", at.st_size, at.st_mtime_ns, at.st_ctime_ns)
