"""The layout of clip-retrieval, read by the library that clip-retrieval itself reads it with: `make
test-ray` has it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

try:
    from embedding_reader import EmbeddingReader
except ImportError as missing:  # said aloud: the other tests only know the rules of the layout
    warnings.warn(
        f"the layout of clip-retrieval is NOT read by its own reader: {missing.name} is missing",
        stacklevel=1,
    )
    pytest.skip(f"needs embedding-reader: {missing.name} is missing", allow_module_level=True)

from tests.colours import GREEN, RED, ColourEncoder, paint
from tests.test_embed_command import bits, embed, rows
from zeroshelf.datasets import clip_retrieval
from zeroshelf.datasets.places import place


@pytest.mark.parametrize("size", [clip_retrieval.ROWS, 5, 1])
def test_its_reader_gives_each_picture_its_vector(
    tmp_path: Path, encoder: ColourEncoder, size: int
) -> None:
    """In one file and in several, of which the last is shorter; a broken picture is left out."""
    for number in range(12):
        colour = (number * 20, 99, 250 - number * 20)
        paint(tmp_path / "P" / f"{number} ü#.jpg", colour)
    (tmp_path / "P" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    out = tmp_path / "out"
    embed(tmp_path / "P", out, encoder, layout="clip-retrieval", rows=5)
    clip_retrieval.write(place(str(out)), rows=size)
    found = EmbeddingReader(
        embeddings_folder=str(out / "img_emb"),
        metadata_folder=str(out / "metadata"),
        meta_columns=["image_path"],
        file_format="parquet_npy",
    )
    assert (found.count, found.dimension) == (12, encoder.model.dim)
    wanted, seen = rows(out), []
    for vectors, meta in found(batch_size=7, show_progress=False):
        for vector, uri in zip(vectors, meta["image_path"], strict=True):
            assert bits(vector) == bits(wanted[uri]["embedding"])
            seen.append(uri)
    assert sorted(seen) == sorted(uri for uri, row in wanted.items() if row["error"] is None)


def test_its_reader_sees_what_a_second_run_added(tmp_path: Path, encoder: ColourEncoder) -> None:
    out = tmp_path / "out"
    for count, colour in enumerate((RED, GREEN), 1):
        paint(tmp_path / "P" / f"{count}.jpg", colour)
        embed(tmp_path / "P", out, encoder, layout="clip-retrieval")
        found = EmbeddingReader(str(out / "img_emb"), file_format="npy")
        assert found.count == count
        (batch,) = (vectors for vectors, _ in found(batch_size=8, show_progress=False))
        paths = pq.read_table(out / "metadata" / "metadata_0.parquet")["image_path"].to_pylist()
        wanted = rows(out)
        for vector, uri in zip(np.asarray(batch, np.float16), paths, strict=True):
            assert bits(vector) == bits(wanted[uri]["embedding"])
