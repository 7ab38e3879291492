"""Labelled pictures -> a `Pool`: one vector and one true name each. Embedded once for each model.

The development sets are those of ../shared/data whose split is "dev": no shipped model was trained
on them. A folder of folders, each named as what its pictures show, is another set; a folder with
an index.jsonl like that of ../shared/data is as many sets as it names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs

from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.models import select
from zeroshelf.records import OTHER, Encoder, Folder, Model, Picture, Vectors

SHARED = Path(__file__).parents[3] / "shared" / "data"
LAYOUTS = "ROOT/NAME/picture, ROOT/SET/NAME/picture or ROOT/index.jsonl; else ../shared/data"


@dataclass(frozen=True)
class Pool:
    """N pictures with their truth. `names[i]` is "" where a picture has captions but no name."""

    model: Model
    vectors: npt.NDArray[np.float16]  # (N, D), each row of length 1
    sets: np.ndarray  # (N,) of str
    names: np.ndarray  # (N,) of str
    captions: tuple[str, ...]  # the captions in one text, "" without
    texts: Callable[[Sequence[str]], Vectors]

    def __len__(self) -> int:
        return len(self.names)


def indexed(encoder: Encoder, root: Path, split: str | None = None) -> Pool:
    """The pictures that ROOT/index.jsonl names, below ROOT/pictures; of one split, or all."""
    lines = (root / "index.jsonl").read_text().splitlines()
    rows = [row for line in lines if (row := json.loads(line))["split"] == (split or row["split"])]
    return _pool(
        encoder,
        [str(root / "pictures" / row["file"]) for row in rows],
        [row["set"] for row in rows],
        [row["labels"][0] if row["labels"] else "" for row in rows],
        [" ".join(row["captions"]).lower() for row in rows],
    )


def folders(encoder: Encoder, root: Path) -> Pool:
    """ROOT/NAME/picture, or ROOT/SET/NAME/picture: then a set can be left out. What somebody
    sorted as "other" has no name."""
    root = root.resolve()
    files = (path for glob in ("*/*", "*/*/*") for path in root.glob(glob) if path.is_file())
    found = sorted(path for path in files if path.parent.name != OTHER)
    return _pool(
        encoder,
        [str(path) for path in found],
        [path.parts[-3] for path in found],
        [path.parts[-2].replace("_", " ") for path in found],
        [""] * len(found),
    )


def _pool(
    encoder: Encoder,
    paths: list[str],
    sets: list[str],
    names: list[str],
    captions: list[str],
) -> Pool:
    pictures = []
    for path in paths:
        status = os.stat(path)
        kind = "JPEG"
        pictures.append(Picture(path, kind, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    store = EmbeddingCache.open(platformdirs.user_cache_dir("zeroshelf-benchmarks"))
    embedded = compute.embed(Folder(os.sep, tuple(pictures)), encoder, store)
    row = {path: at for at, path in enumerate(paths)}
    kept = [row[picture.path] for picture in embedded.pictures]
    return Pool(
        encoder.model,
        embedded.vectors,
        np.array(sets)[kept],
        np.array(names)[kept],
        tuple(captions[at] for at in kept),
        remembered(encoder),
    )


def remembered(encoder: Encoder) -> Callable[[Sequence[str]], Vectors]:
    """`encoder.embed_texts`, each text once."""
    known: dict[str, np.ndarray] = {}
    lists: dict[tuple[str, ...], Vectors] = {}

    def texts(wanted: Sequence[str]) -> Vectors:
        if tuple(wanted) in lists:
            return lists[tuple(wanted)]
        new = list(dict.fromkeys(text for text in wanted if text not in known))
        if new:
            known.update(zip(new, encoder.embed_texts(new), strict=True))
        vectors = np.stack([known[text] for text in wanted])
        if len(wanted) > 1000:  # the bank, asked for in every episode
            lists[tuple(wanted)] = vectors
        return vectors

    return texts


def load(model: str | None = None, root: Path | None = None) -> Pool:
    encoder = select.load(select.find(model))
    if root is None:
        return indexed(encoder, SHARED, "dev")
    return (indexed if (root / "index.jsonl").is_file() else folders)(encoder, root)
