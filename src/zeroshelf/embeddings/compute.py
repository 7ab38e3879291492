"""pictures -> embeddings: each picture is read, hashed, decoded and embedded once.

A worker thread a core takes a few pictures from the file to the vector by itself. Decoding and
inference both release the interpreter's lock, so that every core is busy with one or the other
until the folder is done. `embed_batch` is a pure function of contents and a model.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf.embeddings.cache import Embedded, Store
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode
from zeroshelf.images.preprocess import to_pixels
from zeroshelf.images.quality import flaw
from zeroshelf.records import (
    Embeddings,
    Encoder,
    Folder,
    Model,
    Picture,
    Progress,
    Skipped,
    Vectors,
)
from zeroshelf.system import machine

BANK_TEXTS = "texts.npz"  # beside a model that is shipped
FLUSH_EVERY = 256  # pictures that the store takes at once: the most that a kill can cost
FLUSH_TEXTS = 256  # texts that it takes at once; the bank's 3,600 take a large model minutes


def embed_batch(
    files: Iterable[tuple[str, decode.Content]], encoder: Encoder
) -> list[Embedded | Unreadable]:
    """N files' suffixes and contents -> N answers in the same order.

    A film's frames and a document's pages speak together, by the mean of their vectors.
    Vectors are rounded to half precision here, as the store keeps them: an answer never depends
    on whether it was cached.
    """
    answers: list[Embedded | Unreadable] = []
    shown: list[tuple[int, bytes, str | None]] = []  # answer, thumbnail, note
    pixels: list[npt.NDArray[np.float32]] = []
    starts: list[int] = []  # of each file's first frame in `pixels`
    preprocessing = encoder.model.preprocessing
    for suffix, data in files:
        start = len(pixels)
        try:
            for frame in decode.frames(data, preprocessing.size, suffix=suffix):
                small = decode.thumbnail(frame)
                if len(pixels) == start:
                    first, note, found = decode.jpeg(small), frame.note, set[str | None]()
                found.add(flaw(small))
                pixels.append(to_pixels(frame, preprocessing))
        except Unreadable as trouble:
            del pixels[start:]
            answers.append(trouble)
            continue
        common = found.pop() if len(found) == 1 else None  # a film may begin with a black frame
        shown.append((len(answers), first, note or common))
        starts.append(start)
        answers.append(Unreadable())  # until the vector is there
    if pixels:
        vectors = np.add.reduceat(encoder.embed_pictures(np.stack(pixels)), starts, axis=0)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        for vector, (row, thumbnail, note) in zip(vectors.astype(np.float16), shown, strict=True):
            answers[row] = Embedded(vector, thumbnail, note)
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
    by_path = store.digests(folder.pictures)
    digests = [by_path.get(picture.path, b"") for picture in folder.pictures]
    found, cached = store.vectors(model.digest, digests)
    vectors = np.zeros((len(digests), model.dim), np.float16)
    vectors[found] = cached[found]
    broken = store.unreadable(by_path.values())
    reasons = {row: broken[digest] for row, digest in enumerate(digests) if digest in broken}

    todo = [row for row in range(len(digests)) if not found[row] and row not in reasons]
    fresh: list[tuple[Picture, bytes, Embedded | str]] = []
    for done, (row, digest, answer) in enumerate(_work(folder, todo, encoder, store, workers), 1):
        digests[row] = digest
        if isinstance(answer, Embedded):
            vectors[row] = answer.vector
        else:
            reasons[row] = answer
        if digest:
            fresh.append((folder.pictures[row], digest, answer))
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
        digests=tuple(digests[row] for row in kept),
        vectors=vectors[kept],
        skipped=tuple(sorted((*folder.skipped, *unread), key=lambda skipped: skipped.path)),
        model=model,
        notes=noted([digests[row] for row in kept], store),
        ignored=folder.ignored,
    )


def noted(digests: Sequence[bytes], store: Store) -> dict[int, str]:
    """Row -> what is noted of that picture, for the few of which something is."""
    notes = store.notes(digests)
    return {row: notes[digest] for row, digest in enumerate(digests) if digest in notes}


def text_embedder(
    encoder: Encoder, store: Store, progress: Progress | None = None
) -> Callable[[Sequence[str]], Vectors]:
    """A function of N texts -> (N, D) unit rows that asks the model only for texts it never saw."""
    model = encoder.model
    known = dict(shipped_texts(model))

    def embed_texts(texts: Sequence[str]) -> Vectors:
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known.update(store.texts(model.digest, missing))
        # of like length together, so that the model pads none much
        unknown = sorted((text for text in missing if text not in known), key=len)
        if progress and len(unknown) > FLUSH_TEXTS:
            progress("texts", 0, len(unknown))
        for start in range(0, len(unknown), FLUSH_TEXTS):
            some = unknown[start : start + FLUSH_TEXTS]
            made = dict(zip(some, encoder.embed_texts(some), strict=True))
            store.add_texts(model.digest, made)
            known.update(made)
            if progress and len(unknown) > FLUSH_TEXTS:
                progress("texts", start + len(some), len(unknown))
        return np.stack([known[text] for text in texts])

    return embed_texts


@lru_cache(maxsize=1)
def shipped_texts(model: Model) -> Mapping[str, npt.NDArray[np.float32]]:
    """The bank's texts with their vectors, where the model's folder brings them.

    The file holds `texts` (N,), `vectors` (N, D) in half precision, and the `digest` of the model
    that made them.
    """
    if not (model.folder / BANK_TEXTS).is_file():
        return {}
    with np.load(model.folder / BANK_TEXTS) as file:
        if str(file["digest"]) != model.digest:
            return {}
        vectors = file["vectors"].astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return dict(zip(file["texts"].tolist(), vectors, strict=True))


# row, digest (empty where the file could not be read), what came of it or why nothing did
_Answer: TypeAlias = tuple[int, bytes, Embedded | str]


def _work(
    folder: Folder, todo: Sequence[int], encoder: Encoder, store: Store, workers: int | None
) -> Iterator[_Answer]:
    """The answers for the rows `todo`, with no more than a few batches under way."""
    if not todo:
        return
    count = workers or machine.processors()
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
    read: list[tuple[int, bytes, tuple[str, decode.Content]]] = []
    for row, picture in batch:
        try:
            content = decode.read(picture.path)
            digest = decode.digest(content)
        except Unreadable as trouble:
            answers.append((row, b"", str(trouble)))
            continue
        suffix = os.path.splitext(picture.path)[1].lower()
        read.append((row, digest, (suffix, content)))
    # what only changed its name or place is known by its content
    known = store.recall(encoder.model.digest, [digest for _, digest, _ in read])
    unknown = [(row, digest, file) for row, digest, file in read if digest not in known]
    made = embed_batch([file for _, _, file in unknown], encoder)
    for (_, digest, _), answer in zip(unknown, made, strict=True):
        known[digest] = answer if isinstance(answer, Embedded) else str(answer)
    answers += [(row, digest, known[digest]) for row, digest, _ in read]
    return answers
