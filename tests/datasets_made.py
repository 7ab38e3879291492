"""Datasets for tests of scoring, as `zeroshelf embed` would write them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from zeroshelf.datasets import parts
from zeroshelf.datasets.parts import Row
from zeroshelf.datasets.places import Place, place
from zeroshelf.records import Embeddings


def uri_of(path: str) -> str:
    return Path(path).as_uri()


def of_embeddings(to: Path, found: Embeddings, count: int = 3) -> Place:
    """The dataset of embedded local files, in `count` parts and in another order."""
    rows = [
        Row(
            uri_of(picture.path),
            f"{picture.size}",
            found.digests[at].hex(),
            4,
            3,
            found.vectors[at],
            note=found.notes.get(at),
        )
        for at, picture in enumerate(found.pictures)
    ]
    rows += [Row(uri_of(one.path), "1", error=one.reason) for one in found.skipped]
    return written(to, rows, found.model.digest, found.model.dim, count)


def written(
    to: Path, rows: Sequence[Row], model: str, dimension: int, count: int = 3, seed: int = 0
) -> Place:
    to.mkdir(exist_ok=True)
    folder = place(str(to))
    order = np.random.default_rng(seed).permutation(len(rows))
    for some in np.array_split(order, count):
        parts.write_part(folder, parts.table([rows[at] for at in some], model, dimension))
    return folder


def results(folder: Path) -> list[dict[str, Any]]:
    """The rows of results in a folder, file after file."""
    found: list[dict[str, Any]] = []
    for file in sorted(folder.iterdir()):
        assert file.name.startswith("results-") and file.suffix == ".parquet"
        found += pq.read_table(io.BytesIO(file.read_bytes())).to_pylist()
    return found
