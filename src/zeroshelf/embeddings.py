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
from blake3 import blake3

from zeroshelf import pictures
from zeroshelf.errors import Unreadable
from zeroshelf.preprocess import to_pixels
from zeroshelf.records import Embeddings, Encoder, Folder, Model, Picture, Skipped, Vectors
from zeroshelf.store import Store

Progress: TypeAlias = Callable[
    [str, int, int], None
]  # what is being done, done so far, of how many

FLUSH_EVERY = 256  # pictures kept by the store at once: what a kill can cost


@dataclass(frozen=True, slots=True)
class Embedded:
    """What is kept of one picture."""

    vector: npt.NDArray[np.float16]  # (D,); half precision also before it was ever stored
    thumbnail: bytes  # a small JPEG
    note: str | None = None  # "the end of the file is missing"


def embed_batch(contents: Iterable[bytes], encoder: Encoder) -> list[Embedded | Unreadable]:
    """The contents of N picture files -> N answers in the same order."""
    answers: list[Embedded | Unreadable | None] = []
    pixels, drawn = [], []
    preprocessing = encoder.model.preprocessing
    for data in contents:
        try:
            decoded = pictures.decode(data, preprocessing.size)
            pixels.append(to_pixels(decoded, preprocessing))
            drawn.append((len(answers), pictures.thumbnail(decoded), decoded.note))
            answers.append(None)
        except Unreadable as trouble:
            answers.append(trouble)
    if pixels:
        vectors = encoder.embed_pictures(np.stack(pixels)).astype(np.float16)
        for vector, (row, thumbnail, note) in zip(vectors, drawn, strict=True):
            answers[row] = Embedded(vector, thumbnail, note)
    return [answer for answer in answers if answer is not None]


def embed(
    folder: Folder,
    encoder: Encoder,
    store: Store,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Embeddings:
    """Every picture of `folder` that can be read, with its vector; from the store where it is known."""
    model = encoder.model
    known = store.digests(folder.pictures)
    digests: list[bytes | None] = [known.get(picture.path) for picture in folder.pictures]
    found, cached = store.vectors(model.digest, [digest or b"" for digest in digests])
    broken = store.unreadable([digest for digest in digests if digest])
    vectors = np.zeros((len(digests), model.dim), np.float16)
    vectors[found] = cached[found]
    reasons: dict[int, str] = {
        row: broken[digest] for row, digest in enumerate(digests) if digest and digest in broken
    }

    todo = [row for row in range(len(digests)) if not found[row] and row not in reasons]
    done = len(digests) - len(todo)
    if progress:
        progress("embedding", done, len(digests))
    pending: list[tuple[Picture, bytes, Embedded | str]] = []
    for row, digest, answer in _work(folder.pictures, todo, encoder, store, workers):
        digests[row] = digest
        if isinstance(answer, str):
            reasons[row] = answer
        else:
            vectors[row] = answer.vector
        if digest is not None:
            pending.append((folder.pictures[row], digest, answer))
        if len(pending) >= FLUSH_EVERY:
            store.add(model.digest, pending)
            pending = []
        done += 1
        if progress:
            progress("embedding", done, len(digests))
    store.add(model.digest, pending)

    kept = [row for row in range(len(digests)) if row not in reasons]
    unread = [Skipped(folder.pictures[row].path, reason) for row, reason in reasons.items()]
    return Embeddings(
        pictures=tuple(folder.pictures[row] for row in kept),
        digests=tuple(digest for row in kept if (digest := digests[row]) is not None),
        vectors=vectors[kept],
        skipped=tuple(sorted((*folder.skipped, *unread), key=lambda skipped: skipped.path)),
        model=model,
    )


def text_embedder(encoder: Encoder, store: Store) -> Callable[[Sequence[str]], Vectors]:
    """A function of N texts -> (N, D) unit rows that asks the model only for texts it never saw."""
    model = encoder.model

    def embed_texts(texts: Sequence[str]) -> Vectors:
        found, vectors = store.texts(model.digest, texts)
        unknown = list(dict.fromkeys(text for text, have in zip(texts, found, strict=True) if not have))
        if unknown:
            made = dict(zip(unknown, encoder.embed_texts(unknown), strict=True))
            store.add_texts(model.digest, made)
            for row, text in enumerate(texts):
                if not found[row]:
                    vectors[row] = made[text]
        return vectors

    return embed_texts


_Answer: TypeAlias = tuple[int, bytes | None, Embedded | str]  # row, digest, what came of it


def _work(
    folder: Sequence[Picture],
    todo: Sequence[int],
    encoder: Encoder,
    store: Store,
    workers: int | None,
) -> Iterator[_Answer]:
    """The answers for the rows `todo`, in order, with no more than a few batches under way."""
    if not todo:
        return
    count = workers or len(os.sched_getaffinity(0))
    # a short batch at the end keeps all cores busy to the last
    size = max(1, min(encoder.batch_size, -(-len(todo) // count)))
    with ThreadPoolExecutor(count, thread_name_prefix="embed") as pool:
        under_way: deque[Future[list[_Answer]]] = deque()
        try:
            for start in range(0, len(todo), size):
                rows = todo[start : start + size]
                batch = [(row, folder[row]) for row in rows]
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
    fresh: list[tuple[int, bytes, bytes]] = []
    model: Model = encoder.model
    for row, picture in batch:
        try:
            data = pictures.read(picture.path)
        except Unreadable as trouble:
            answers.append((row, None, str(trouble)))
            continue
        fresh.append((row, blake3(data).digest(), data))
    # a picture that only changed its name or place is known by its content
    known = store.recall(model.digest, [digest for _, digest, _ in fresh])
    unknown = [item for item in fresh if item[1] not in known]
    answers += [(row, digest, known[digest]) for row, digest, _ in fresh if digest in known]
    made = embed_batch([data for _, _, data in unknown], encoder)
    for (row, digest, _), answer in zip(unknown, made, strict=True):
        answers.append((row, digest, str(answer) if isinstance(answer, Unreadable) else answer))
    return answers
