"""Pictures -> embeddings: each picture is read, hashed, decoded and embedded once.

One worker thread per core reads, decodes and embeds small batches. Decoding and inference both
release the interpreter's lock, so all cores are busy until the folder is done. Where the encoder
computes on an accelerator, these threads only read and decode, and others feed it (feeding.py).
`embed_batch` is a pure function of contents and a model.
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

from zeroshelf.embeddings import feeding
from zeroshelf.embeddings.cache import Embedded, EmbeddingCache
from zeroshelf.embeddings.decoded import DecodedFile, decode_file, join, stack
from zeroshelf.embeddings.derived import Derived, derive
from zeroshelf.embeddings.feeding import Answer
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode
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
CHUNK = 4  # files that a thread reads and decodes at once where another one feeds a device
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
    decoded: list[DecodedFile] = []
    rows: list[int] = []  # of those, in `answers`
    for suffix, data in files:
        try:
            decoded.append(decode_file(suffix, data, encoder.model.preprocessing))
        except Unreadable as trouble:
            answers.append(trouble)
            continue
        rows.append(len(answers))
        answers.append(Unreadable())  # until the vector is there
    if decoded:
        made = join(decoded, encoder.embed_pictures(stack(decoded)))
        for row, answer in zip(rows, made, strict=True):
            answers[row] = answer
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


def _work(
    folder: Folder,
    todo: Sequence[int],
    encoder: Encoder,
    store: EmbeddingCache,
    workers: int | None,
) -> Iterator[Answer]:
    """The answers for the rows `todo`, with no more than a few batches in memory at once."""
    if not todo:
        return
    count = workers or machine.processors()
    if feeding.devices_of(encoder):
        yield from _work_apart(folder, todo, encoder, store, count)
        return
    size = max(1, min(encoder.batch_size, len(todo) // (4 * count)))  # small work, small batches
    with ThreadPoolExecutor(count, thread_name_prefix="embed") as pool:
        pending: deque[Future[list[Answer]]] = deque()
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


def _work_apart(
    folder: Folder, todo: Sequence[int], encoder: Encoder, store: EmbeddingCache, decoders: int
) -> Iterator[Answer]:
    """As `_work`, for an encoder that doesn't compute on the processors (feeding.py)."""
    dtype = getattr(encoder, "pixel_type", np.float32)

    def prepare(batch: Sequence[tuple[int, Picture]]) -> feeding.Prepared:
        answers, unknown = _read_files(batch, encoder.model, store)
        decoded: list[feeding.Decoded] = []
        for row, digest, (suffix, content) in unknown:
            try:
                made = decode_file(suffix, content, encoder.model.preprocessing, dtype)
                decoded.append((row, digest, made))
            except Unreadable as trouble:
                answers.append((row, digest, str(trouble)))
        return answers, decoded

    chunks = (
        [(row, folder.pictures[row]) for row in todo[start : start + CHUNK]]
        for start in range(0, len(todo), CHUNK)
    )
    yield from feeding.Feeding(encoder, decoders).answers(chunks, prepare)


def _embed_files(
    batch: Sequence[tuple[int, Picture]], encoder: Encoder, store: EmbeddingCache
) -> list[Answer]:
    answers, unknown = _read_files(batch, encoder.model, store)
    made = embed_batch([file for _, _, file in unknown], encoder)
    answers += [
        (row, digest, answer if isinstance(answer, Embedded) else str(answer))
        for (row, digest, _), answer in zip(unknown, made, strict=True)
    ]
    return answers


# row, digest, and suffix and content of a file
_File: TypeAlias = tuple[int, bytes, tuple[str, decode.Content]]


def _read_files(
    batch: Sequence[tuple[int, Picture]], model: Model, store: EmbeddingCache
) -> tuple[list[Answer], list[_File]]:
    """The answers for files that can't be read, and for those whose content the cache knows; and
    the others, which are to be embedded."""
    answers: list[Answer] = []
    read: list[_File] = []
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
    known = store.known(model.digest, [digest for _, digest, _ in read])
    stale = store.outdated(known)
    for row, digest, file in read:
        cached = known.get(digest)
        if isinstance(cached, str):
            answers.append((row, digest, cached))
        elif cached is not None:
            derived = _derive_again(file, model.preprocessing.size) if digest in stale else None
            failed = digest in stale and derived is None
            answers.append((row, digest, Embedded(cached, derived, failed)))
    return answers, [one for one in read if one[1] not in known]


def _derive_again(file: tuple[str, decode.Content], short_side: int) -> Derived | None:
    """None where the file can't be decoded any more: what the cache has stays."""
    suffix, content = file
    try:
        return derive(content, short_side, suffix=suffix)
    except Unreadable:
        return None
