"""One worker: rows of a manifest -> parts. Threads of this process and Ray's actors run the same.

A worker fetches ahead, decodes, embeds and writes its parts by itself, and returns only counts: no
vector travels between processes.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from zeroshelf.datasets import containers, parts, versions
from zeroshelf.datasets.containers import Item
from zeroshelf.datasets.parts import NOT_FETCHED, Row
from zeroshelf.datasets.places import local_path, place
from zeroshelf.embeddings import compute, feeding
from zeroshelf.embeddings.cache import Embedded
from zeroshelf.embeddings.decoded import decode_file
from zeroshelf.errors import Unreadable, UserError, one_line
from zeroshelf.images import decode
from zeroshelf.records import Encoder
from zeroshelf.system.ahead import ahead
from zeroshelf.system.uris import scheme_of

_FETCHERS = 8  # requests that a worker has open at once
_AHEAD = 16  # pictures that it has fetched before they are embedded
_CANT_READ = "can't be read: "  # how `decode.read` begins for an error of the system


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker of a run does in the same way: plain values, so that it can be sent."""

    out: str  # the dataset's folder, a path or URI
    endpoint: str | None
    generation: int  # of this run: see parts.py
    rows: int  # of a part, at most
    # That decode in one worker, and embed where no device beside the processors does; more than 1
    # for an accelerator.
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Done:
    """What came of some rows of a manifest."""

    rows: int = 0  # that were written
    failed: int = 0  # of these, without an embedding

    def __add__(self, other: Done) -> Done:
        return Done(self.rows + other.rows, self.failed + other.failed)


class Worker:
    """Embeds rows of a manifest into the dataset of `job` with one encoder."""

    def __init__(self, job: Job, encoder: Encoder) -> None:
        self._job, self._encoder = job, encoder
        self._stopped = threading.Event()
        self._out = place(job.out, job.endpoint)

    def stop(self) -> None:
        """End every `do` after the batch that it is at; what is no whole part is not written."""
        self._stopped.set()

    def do(self, block: pa.Table) -> Done:
        """Embed some rows as `sources.unfinished` makes them, and write them as parts. The pictures
        come into one part, those of a container into parts of their own.

        Raises `UserError` where a container can't be used or the dataset can't be written.
        """
        done = sum(self.each(block), Done())
        return Done() if self._stopped.is_set() else done

    def each(self, block: pa.Table) -> Iterator[Done]:
        """As `do`, with the counts of each part as it is written."""
        rows = block.to_pylist()
        plain = [row for row in rows if not row["kind"]]
        fetchers, most = max(_FETCHERS, self._job.threads), max(_AHEAD, 4 * self._job.threads)
        try:
            with ThreadPoolExecutor(fetchers, thread_name_prefix="fetch") as pool:
                yield from self._embed(ahead(pool, self._fetch, plain, most), None)
                for row in rows:
                    if row["kind"]:
                        yield from self._embed(self._members(row), (row["uri"], row["etag"]))
        except _Stop:
            pass
        except OSError as error:
            raise UserError(f"{self._job.out} can't be written: {one_line(error)}") from None

    def _members(self, row: dict[str, str]) -> Iterator[Item]:
        uri, etag = row["uri"], row["etag"]
        try:
            file = place(uri, self._job.endpoint)
            yield from containers.items(file, row["kind"], etag, row["skip"] or ())
        except OSError as error:
            raise UserError(f"{uri} can't be read: {one_line(error)}") from None

    def _fetch(self, row: dict[str, str | int | None]) -> Item:
        uri, size = str(row["uri"]), row["size"]
        suffix = os.path.splitext(uri)[1].lower()
        content: decode.Content | Unreadable
        try:
            if row["error"]:
                content = Unreadable(str(row["error"]))
            elif scheme_of(uri) in ("", "file"):
                content = decode.read(local_path(uri))
            elif isinstance(size, int) and size > decode.MAX_BYTES:
                content = Unreadable(f"larger than {decode.MAX_BYTES >> 20} MB")
            else:
                with place(uri, self._job.endpoint).stream() as file:
                    if row["etag"] == row["earlier"]:  # no listing told it
                        row["etag"] = versions.of_open(file) or row["etag"]
                    content = file.read()
        except Unreadable as trouble:
            said = str(trouble)
            again = said.startswith(_CANT_READ)
            content = Unreadable(NOT_FETCHED + said.removeprefix(_CANT_READ)) if again else trouble
        except (OSError, UserError) as error:
            content = Unreadable(NOT_FETCHED + one_line(error))
        return Item(uri, str(row["etag"]), suffix, content)

    def _embed(self, items: Iterator[Item], container: tuple[str, str] | None) -> Iterator[Done]:
        """The items as parts; the last part of a container says that it is complete."""
        rows = self._rows(items)
        part = list(itertools.islice(rows, self._job.rows))
        while part or container:
            following = list(itertools.islice(rows, self._job.rows))
            model = self._encoder.model
            made = parts.table(part, model.digest, model.dim, self._job.generation)
            parts.write_part(self._out, made, None if following else container)
            yield Done(len(part), sum(row.error is not None for row in part))
            if not following:
                break
            part = following

    def _batches(self, items: Iterator[Item]) -> Iterator[list[Item]]:
        while batch := list(itertools.islice(items, self._encoder.batch_size)):
            if self._stopped.is_set():
                raise _Stop
            yield batch

    def _rows(self, items: Iterator[Item]) -> Iterator[Row]:
        if feeding.devices_of(self._encoder):
            yield from self._fed(items)
            return
        batches = self._batches(items)
        if self._job.threads == 1:
            for batch in batches:
                yield from embed_items(batch, self._encoder)
            return
        threads = self._job.threads
        with ThreadPoolExecutor(threads, thread_name_prefix="embed") as pool:
            embed = ahead(pool, lambda batch: embed_items(batch, self._encoder), batches, threads)
            for rows in embed:
                yield from rows

    def _fed(self, items: Iterator[Item]) -> Iterator[Row]:
        """The rows in the order in which they come, for an encoder that doesn't compute on the
        processors: threads that only decode, and others that only feed it (feeding.py)."""
        dtype = getattr(self._encoder, "pixel_type", np.float32)
        numbered, at_work = enumerate(items), dict[int, tuple[str, str]]()

        def chunks() -> Iterator[list[tuple[int, Item]]]:
            while chunk := list(itertools.islice(numbered, compute.CHUNK)):
                if self._stopped.is_set():
                    raise _Stop
                at_work.update((number, (item.uri, item.etag)) for number, item in chunk)
                yield chunk

        def prepare(chunk: list[tuple[int, Item]]) -> feeding.Prepared:
            answers: list[feeding.Answer] = []
            decoded: list[feeding.Decoded] = []
            for number, item in chunk:
                digest = b""
                try:
                    content = _readable(item)
                    digest = decode.digest(content)
                    how = self._encoder.model.preprocessing
                    decoded.append((number, digest, decode_file(item.suffix, content, how, dtype)))
                except Unreadable as trouble:
                    answers.append((number, digest, str(trouble)))
            return answers, decoded

        fed = feeding.Feeding(self._encoder, self._job.threads).answers(chunks(), prepare)
        for number, digest, answer in fed:
            yield _row(*at_work.pop(number), digest.hex() or None, answer)


class _Stop(Exception):
    """The run ends: a part that is begun is given up."""


def embed_items(batch: list[Item], encoder: Encoder) -> list[Row]:
    """A row for each item, in the same order."""
    readable: list[tuple[Item, str, tuple[str, decode.Content]]] = []
    rows: dict[str, Row] = {}
    for item in batch:
        try:
            content = _readable(item)
            readable.append((item, decode.digest(content).hex(), (item.suffix, content)))
        except Unreadable as trouble:
            rows[item.uri] = Row(item.uri, item.etag, error=str(trouble))
    answers = compute.embed_batch([file for _, _, file in readable], encoder)
    for (item, digest, _), answer in zip(readable, answers, strict=True):
        said = answer if isinstance(answer, Embedded) else str(answer)
        rows[item.uri] = _row(item.uri, item.etag, digest, said)
    return [rows[item.uri] for item in batch]


def _readable(item: Item) -> decode.Content:
    """Raises `Unreadable` for an item that could not be fetched."""
    if isinstance(item.content, Unreadable):
        raise item.content
    return item.content


def _row(uri: str, etag: str, digest: str | None, answer: Embedded | str) -> Row:
    """answer: what was made of a picture, or why nothing was."""
    if isinstance(answer, str):
        return Row(uri, etag, digest, error=answer)
    width, height = answer.size or (None, None)
    note = answer.derived.note if answer.derived else None
    return Row(uri, etag, digest, width, height, answer.vector, note=note)
