"""Embedding on an accelerator: threads that only read and decode, and one for each device that does
nothing but feed it.

Decoding takes processors, inference takes the device: neither waits for the other as long as there
is work for it. The calling thread stacks what is decoded into batches and joins the answers. What
is in memory at once is bounded: a few files for each decoding thread, and `AHEAD` batches for each
device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeAlias, TypeVar

from zeroshelf.embeddings.cache import Embedded
from zeroshelf.embeddings.decoded import DecodedFile, join, stack
from zeroshelf.records import Encoder, Vectors

AHEAD = 3  # batches for each device: one at work, and two that wait
CHUNKS = 2  # chunks of files for each decoding thread: one at work, and one that waits

Chunk = TypeVar("Chunk")
# row, digest (empty if the file could not be read), and what came of it or why nothing did
Answer: TypeAlias = tuple[int, bytes, Embedded | str]
# row, digest and what is to be embedded
Decoded: TypeAlias = tuple[int, bytes, DecodedFile]
# what `prepare` makes of a chunk: answers that need no device, and files that do
Prepared: TypeAlias = tuple[Sequence[Answer], Sequence[Decoded]]


def devices_of(encoder: Encoder) -> int:
    """How many devices beside the processors `encoder` feeds; 0: it computes on the processors. An
    encoder tells by an attribute `feeders`; one without it computes on the processors."""
    return int(getattr(encoder, "feeders", 0))


class Feeding:
    """One pass over some files. `encoder.embed_pictures` is called by as many threads as it has
    devices, and by no others."""

    def __init__(self, encoder: Encoder, decoders: int) -> None:
        self._encoder = encoder
        self._decoders = decoders
        self._devices = max(1, devices_of(encoder))
        self._ended: SimpleQueue[Future[Prepared] | Future[Vectors]] = SimpleQueue()
        self._decoding: set[Future[Prepared]] = set()
        self._feeding: dict[Future[Vectors], list[Decoded]] = {}
        self._open: list[Decoded] = []  # decoded, and in no batch yet
        self._frames = 0  # of those
        self._exhausted = False  # whether every chunk was handed out

    def answers(
        self, chunks: Iterable[Chunk], prepare: Callable[[Chunk], Prepared]
    ) -> Iterator[Answer]:
        """The answers for the files of all chunks, in the order in which they come. `prepare` reads
        and decodes the files of a chunk, in one of the decoding threads."""
        source = iter(chunks)
        decode_pool = ThreadPoolExecutor(self._decoders, thread_name_prefix="decode")
        feed_pool = ThreadPoolExecutor(self._devices, thread_name_prefix="feed")
        try:
            self._decode_more(source, prepare, decode_pool)
            while self._decoding or self._feeding:
                ended = self._ended.get()
                if ended in self._decoding:
                    yield from self._decoded(ended)  # type: ignore[arg-type]
                else:
                    yield from self._fed(ended)  # type: ignore[arg-type]
                self._feed(feed_pool)
                self._decode_more(source, prepare, decode_pool)
                if self._exhausted and not self._decoding:
                    self._feed(feed_pool, least=1)  # the last batch is smaller
        finally:
            for pool in (decode_pool, feed_pool):
                pool.shutdown(wait=False, cancel_futures=True)

    def _decode_more(
        self,
        source: Iterator[Chunk],
        prepare: Callable[[Chunk], Prepared],
        pool: ThreadPoolExecutor,
    ) -> None:
        """Keep the decoding threads busy, unless the devices have enough to do."""
        while len(self._feeding) < AHEAD * self._devices:
            if len(self._decoding) >= CHUNKS * self._decoders:
                return
            chunk = next(source, None)
            if chunk is None:
                self._exhausted = True
                return
            future = pool.submit(prepare, chunk)
            self._decoding.add(future)
            future.add_done_callback(self._ended.put)

    def _decoded(self, future: Future[Prepared]) -> Sequence[Answer]:
        self._decoding.remove(future)
        answers, files = future.result()
        self._open += files
        self._frames += sum(file.frames for _, _, file in files)
        return answers

    def _feed(self, pool: ThreadPoolExecutor, least: int | None = None) -> None:
        """Hand batches of `least` frames and more to the devices; None: full batches."""
        size = max(1, self._encoder.batch_size)
        while self._frames >= (least or size):
            batch, frames = list[Decoded](), 0
            while self._open and frames < size:
                batch.append(self._open.pop(0))
                frames += batch[-1][2].frames
            self._frames -= frames
            pixels = stack([file for _, _, file in batch])
            future = pool.submit(self._encoder.embed_pictures, pixels)
            self._feeding[future] = batch
            future.add_done_callback(self._ended.put)

    def _fed(self, future: Future[Vectors]) -> Iterator[Answer]:
        batch = self._feeding.pop(future)
        made = join([file for _, _, file in batch], future.result())
        for (row, digest, _), answer in zip(batch, made, strict=True):
            yield row, digest, answer
