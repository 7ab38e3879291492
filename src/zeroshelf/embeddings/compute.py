"""Pictures -> embeddings: each picture is read, hashed, decoded and embedded once.

One worker thread per core reads, decodes and embeds small batches. Decoding and inference both
release the interpreter's lock, so all cores are busy until the folder is done. `embed_batch` is a
pure function of contents and a model.
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

from zeroshelf.embeddings.cache import Embedded, EmbeddingCache
from zeroshelf.embeddings.derived import Collector, Derived, derive
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode
from zeroshelf.images.preprocess import to_pixels
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

TEXT_VECTORS = "texts.npz"  # beside a model that is shipped
FLUSH_EVERY = 256  # pictures that are written to the cache at once: the most that a kill can cost
FLUSH_TEXTS = 256  # texts, likewise; a large model takes minutes for 3,600 negative labels


def embed_batch(
    files: Iterable[tuple[str, decode.Content]], encoder: Encoder
) -> list[Embedded | Unreadable]:
    """N files -> N answers in the same order.

    `files`: suffix in lower case (".jpg") and content of each. The vector of a video or of a
    document of many pages is the mean over its frames. Vectors are rounded to half precision, as
    the cache stores them, so that an answer never depends on whether it was cached.
    """
    answers: list[Embedded | Unreadable] = []
    decoded: list[tuple[int, Collector]] = []  # index of the answer, what its frames look like
    pixels: list[npt.NDArray[np.float32]] = []
    starts: list[int] = []  # of each decoded file's first frame in `pixels`
    preprocessing = encoder.model.preprocessing
    for suffix, data in files:
        start, frames = len(pixels), Collector()
        try:
            for frame in decode.frames(data, preprocessing.size, suffix=suffix):
                frames.add(frame)
                pixels.append(to_pixels(frame, preprocessing))
        except Unreadable as trouble:
            del pixels[start:]
            answers.append(trouble)
            continue
        decoded.append((len(answers), frames))
        starts.append(start)
        answers.append(Unreadable())  # until the vector is there
    if pixels:
        vectors = np.add.reduceat(encoder.embed_pictures(np.stack(pixels)), starts, axis=0)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        for vector, (row, frames) in zip(vectors.astype(np.float16), decoded, strict=True):
            answers[row] = Embedded(vector, frames.result(), size=frames.size)
    return answers


def embed(
    folder: Folder,
    encoder: Encoder,
    store: EmbeddingCache,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Embeddings:
    """The vectors of every picture of `folder` that can be read.

    A picture that the cache `store` knows is not read again, unless its thumbnail, quality note or
    hash is of another version: these are then made anew, and its vector is kept. Where that fails,
    the old ones stay too, and it isn't tried again until the file, the version or the set of
    decoders is another. `workers`: number of threads; None: one per core. `progress` is called with
    ("embedding", done, total).
    """
    model = encoder.model
    by_path = store.digests(folder.pictures)
    digests = [by_path.get(picture.path, b"") for picture in folder.pictures]
    found, cached = store.vectors(model.digest, digests)
    vectors = np.zeros((len(digests), model.dim), np.float16)
    vectors[found] = cached[found]
    broken = store.unreadable(by_path.values())
    reasons = {row: broken[digest] for row, digest in enumerate(digests) if digest in broken}

    done = found.copy()
    done[list(reasons)] = True
    stale = store.outdated(digests[row] for row in np.flatnonzero(found).tolist())
    old = [row for row, digest in enumerate(digests) if done[row] and digest in stale]
    hopeless = store.underivable(folder.pictures[row] for row in old)
    done[[row for row in old if folder.pictures[row].path not in hopeless]] = False
    todo = np.flatnonzero(~done).tolist()
    failed: list[Picture] = []  # what could not be derived again
    fresh: list[tuple[Picture, bytes, Embedded | str]] = []
    for count, (row, digest, answer) in enumerate(_work(folder, todo, encoder, store, workers), 1):
        if digest:
            digests[row] = digest
            fresh.append((folder.pictures[row], digest, answer))
        if isinstance(answer, Embedded):
            vectors[row] = answer.vector
            if answer.underivable:
                failed.append(folder.pictures[row])
        elif digest or not found[row]:
            reasons[row] = answer
        else:  # can't be read: the cached vector stands for it
            failed.append(folder.pictures[row])
        if len(fresh) >= FLUSH_EVERY:
            store.add(model.digest, fresh)
            fresh = []
        if progress:
            progress("embedding", count, len(todo))
    store.add(model.digest, fresh)
    store.add_underivable(failed)
    return _embeddings(folder, digests, vectors, reasons, model, store)


def _embeddings(
    folder: Folder,
    digests: Sequence[bytes],
    vectors: npt.NDArray[np.float16],
    reasons: Mapping[int, str],
    model: Model,
    store: EmbeddingCache,
) -> Embeddings:
    """`digests` and `vectors` (N, D) of the pictures of `folder`, without those rows that have a
    reason not to be used."""
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


def noted(digests: Sequence[bytes], store: EmbeddingCache) -> dict[int, str]:
    """Index in `digests` -> the note of that picture, for the few that have one."""
    notes = store.notes(digests)
    return {row: notes[digest] for row, digest in enumerate(digests) if digest in notes}


def text_embedder(
    encoder: Encoder, store: EmbeddingCache, progress: Progress | None = None
) -> Callable[[Sequence[str]], Vectors]:
    """A function of N texts -> (N, D) rows of length 1. The model embeds only texts that neither
    its folder nor the cache knows."""
    model = encoder.model
    known = dict(shipped_texts(model))

    def embed_texts(texts: Sequence[str]) -> Vectors:
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known.update(store.texts(model.digest, missing))
        # texts of similar length together, so that the model pads little
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
    """The prompts of the negative labels with their vectors (D,), if the model's folder has them.

    `texts.npz` contains `texts` (N,), `vectors` (N, D) in half precision, and the `digest` of the
    model that made them; the vectors of another model are not used.
    """
    if not (model.folder / TEXT_VECTORS).is_file():
        return {}
    with np.load(model.folder / TEXT_VECTORS) as file:
        if str(file["digest"]) != model.digest:
            return {}
        vectors = file["vectors"].astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return dict(zip(file["texts"].tolist(), vectors, strict=True))


# row, digest (empty if the file could not be read), and what came of it or why nothing did
_Answer: TypeAlias = tuple[int, bytes, Embedded | str]


def _work(
    folder: Folder,
    todo: Sequence[int],
    encoder: Encoder,
    store: EmbeddingCache,
    workers: int | None,
) -> Iterator[_Answer]:
    """The answers for the rows `todo`, with no more than a few batches in memory at once."""
    if not todo:
        return
    count = workers or machine.processors()
    size = max(1, min(encoder.batch_size, len(todo) // (4 * count)))  # small work, small batches
    with ThreadPoolExecutor(count, thread_name_prefix="embed") as pool:
        pending: deque[Future[list[_Answer]]] = deque()
        try:
            for start in range(0, len(todo), size):
                batch = [(row, folder.pictures[row]) for row in todo[start : start + size]]
                pending.append(pool.submit(_embed_files, batch, encoder, store))
                if len(pending) > 2 * count:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _embed_files(
    batch: Sequence[tuple[int, Picture]], encoder: Encoder, store: EmbeddingCache
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
    # a file that was only renamed or moved is known by its content
    known = store.known(encoder.model.digest, [digest for _, digest, _ in read])
    stale = store.outdated(known)
    unknown = [(row, digest, file) for row, digest, file in read if digest not in known]
    made = embed_batch([file for _, _, file in unknown], encoder)
    answers += [
        (row, digest, answer if isinstance(answer, Embedded) else str(answer))
        for (row, digest, _), answer in zip(unknown, made, strict=True)
    ]
    for row, digest, file in read:
        cached = known.get(digest)
        if isinstance(cached, str):
            answers.append((row, digest, cached))
        elif cached is not None:
            size = encoder.model.preprocessing.size
            derived = _derive_again(file, size) if digest in stale else None
            failed = digest in stale and derived is None
            answers.append((row, digest, Embedded(cached, derived, failed)))
    return answers


def _derive_again(file: tuple[str, decode.Content], short_side: int) -> Derived | None:
    """None where the file can't be decoded any more: what the cache has stays."""
    suffix, content = file
    try:
        return derive(content, short_side, suffix=suffix)
    except Unreadable:
        return None
