"""pictures -> embeddings: each picture is read, hashed, decoded and embedded once.

A worker thread a core takes a few pictures from the file to the vector by itself. Decoding and
inference both release the interpreter's lock, so that every core is busy with one or the other
until the folder is done. `embed_batch` is a pure function of bytes and a model.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf import pictures
from zeroshelf.errors import Unreadable
from zeroshelf.preprocess import to_pixels
from zeroshelf.records import Embeddings, Encoder, Folder, Picture, Skipped, Vectors
from zeroshelf.store import Row, Store, digest

Progress: TypeAlias = Callable[[str, int, int], None]  # what is done, how much so far, of how many

FLUSH_EVERY = 256  # pictures that the store takes at once: the most that a kill can cost


@dataclass(frozen=True, slots=True)
class Embedded:
    """What is kept of one picture."""

    vector: npt.NDArray[np.float16]  # (D,); half precision from the start, as the store keeps it
    thumbnail: bytes  # a small JPEG


def embed_batch(
    files: Iterable[tuple[str, bytes]], encoder: Encoder
) -> list[Embedded | Unreadable]:
    """N files' suffixes and contents -> N answers in the same order."""
    answers: list[Embedded | Unreadable] = []
    rows, pixels, thumbnails = [], [], []
    preprocessing = encoder.model.preprocessing
    for row, (suffix, data) in enumerate(files):
        try:
            decoded = pictures.decode(data, preprocessing.size, suffix=suffix)
            pixels.append(to_pixels(decoded, preprocessing))
            thumbnails.append(pictures.thumbnail(decoded))
            rows.append(row)
            answers.append(Unreadable())  # until the vector is there
        except Unreadable as trouble:
            answers.append(trouble)
    if rows:
        vectors = encoder.embed_pictures(np.stack(pixels)).astype(np.float16)
        for row, vector, thumbnail in zip(rows, vectors, thumbnails, strict=True):
            answers[row] = Embedded(vector, thumbnail)
    return answers


def embed(
    folder: Folder,
    encoder: Encoder,
    store: Store,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Embeddings:
    """Every picture of `folder` that can be read, with its vector; what the store knows is not
    read again. `workers` is the number of threads, one for each core where it is None."""
    model = encoder.model
    digests = store.digests(folder.pictures)
    found, cached = store.vectors(model.digest, digests)
    vectors = np.zeros((len(digests), model.dim), np.float16)
    if found.any():
        vectors[found] = cached[found]
    broken = store.unreadable([one for one in digests if one is not None])
    reasons = {
        row: broken[one] for row, one in enumerate(digests) if one is not None and one in broken
    }

    todo = [row for row in range(len(digests)) if not found[row] and row not in reasons]
    fresh: list[Row] = []
    for done, (row, one, answer) in enumerate(_work(folder, todo, encoder, store, workers), 1):
        picture = folder.pictures[row]
        if isinstance(answer, Unreadable):
            reasons[row] = str(answer)
            if one is not None:
                fresh.append(Row(picture, one, None, reason=str(answer)))
        elif one is not None:
            vectors[row], digests[row] = answer.vector, one
            fresh.append(Row(picture, one, answer.vector, answer.thumbnail))
        if len(fresh) >= FLUSH_EVERY:
            store.add(model.digest, fresh)
            fresh = []
        if progress:
            progress("embedding", done, len(todo))
    store.add(model.digest, fresh)

    kept = [row for row in range(len(digests)) if row not in reasons]
    unread = [Skipped(folder.pictures[row].path, reason) for row, reason in reasons.items()]
    return Embeddings(
        pictures=tuple(folder.pictures[row] for row in kept),
        digests=tuple(one for row in kept if (one := digests[row]) is not None),
        vectors=vectors[kept],
        skipped=tuple(sorted((*folder.skipped, *unread), key=lambda skipped: skipped.path)),
        model=model,
    )


def text_embedder(encoder: Encoder, store: Store) -> Callable[[Sequence[str]], Vectors]:
    """A function of N texts -> (N, D) unit rows that asks the model only for texts it never saw."""
    model = encoder.model

    def embed_texts(texts: Sequence[str]) -> Vectors:
        known = store.texts(model.digest, texts)
        unknown = [text for text in dict.fromkeys(texts) if text not in known]
        if unknown:
            made = encoder.embed_texts(unknown)
            store.add_texts(model.digest, unknown, made)
            known |= zip(unknown, made, strict=True)
        return np.stack([known[text] for text in texts])

    return embed_texts


_Answer: TypeAlias = tuple[int, bytes | None, Embedded | Unreadable]  # row, digest, what came of it


def _work(
    folder: Folder, todo: Sequence[int], encoder: Encoder, store: Store, workers: int | None
) -> Iterator[_Answer]:
    """The answers for the rows `todo`, with no more than a few batches under way."""
    if not todo:
        return
    count = workers or len(os.sched_getaffinity(0))
    size = max(1, min(encoder.batch_size, len(todo) // (4 * count)))  # small work, small batches
    with ThreadPoolExecutor(count, thread_name_prefix="embed") as pool:
        under_way: deque[Future[list[_Answer]]] = deque()
        try:
            for start in range(0, len(todo), size):
                batch = [(row, folder.pictures[row]) for row in todo[start : start + size]]
                under_way.append(pool.submit(_embed_files, batch, encoder, store))
                if len(under_way) > 2 * count:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _embed_files(
    batch: Sequence[tuple[int, Picture]], encoder: Encoder, store: Store
) -> list[_Answer]:
    answers: list[_Answer] = []
    rows, digests, files = [], [], []
    for row, picture in batch:
        try:
            data = pictures.read(picture.path)
        except Unreadable as trouble:
            answers.append((row, None, trouble))
            continue
        rows.append(row)
        digests.append(digest(data))
        files.append((os.path.splitext(picture.path)[1].lower(), data))
    # what only changed its name or place is known by its content
    known, vectors = store.vectors(encoder.model.digest, digests)
    made = iter(embed_batch((files[i] for i in np.flatnonzero(~known)), encoder))
    for i, (row, one) in enumerate(zip(rows, digests, strict=True)):
        answers.append((row, one, Embedded(vectors[i], b"") if known[i] else next(made)))
    return answers
