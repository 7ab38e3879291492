"""The results of scoring a dataset -> the rows that become shards of WebDataset."""

from __future__ import annotations

from collections.abc import Iterator

from zeroshelf.datasets import prepare, results, shards
from zeroshelf.datasets.places import Place
from zeroshelf.datasets.prepare import Dataset
from zeroshelf.datasets.score import encoder_of
from zeroshelf.datasets.store_plan import shelf_folders
from zeroshelf.decisions.by_blocks import CHUNK
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.output.tables import utf8
from zeroshelf.records import OTHER, LabelSet, Progress


def write(
    dataset: Place,
    labels: LabelSet,
    out: Place,
    to: Place,
    size: int,
    *,
    endpoint: str | None = None,
    model: str | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> shards.Written:
    """Write the pictures of complete results in `out` as shards of WebDataset into `to`.

    dataset, labels, out, model, device: as for `score`. size: bytes of a shard at most; a picture
    that is larger has one of its own. endpoint: of the store where the pictures lie. Raises
    `UserError` and `OSError`.
    """
    request = results.request_of(out)
    if request is None:
        raise UserError(f"{out.uri} has no complete results: score again")
    encoder = encoder_of(dataset, model, device)
    texts = compute.text_embedder(encoder, EmbeddingCache.open(), progress)
    with prepare.opened(dataset, encoder.model, texts, together=False, progress=progress) as rows:
        folders = shelf_folders((*labels.names, OTHER))
        return shards.write(
            _labelled(rows, out),
            to,
            {utf8(label): folder for label, folder in folders.items()},
            request,
            size,
            endpoint=endpoint,
            total=len(rows.prepared.vectors),
            progress=progress,
        )


def _labelled(rows: Dataset, out: Place) -> Iterator[tuple[str, str, float, str, str]]:
    """Uri, label, probability, confidence and digest of each picture with an embedding."""
    digests = (one for some in rows.column("digest", CHUNK) for one in some.to_pylist())
    for table in results.read(out, ("uri", "label", "probability", "confidence")):
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if row[1] is not None:
                uri, label, probability, confidence = row
                yield uri, label, probability, confidence, next(digests) or ""
