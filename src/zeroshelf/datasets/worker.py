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

import pyarrow as pa

from zeroshelf.datasets import containers, parts, versions
from zeroshelf.datasets.ahead import ahead
from zeroshelf.datasets.containers import Item
from zeroshelf.datasets.parts import NOT_FETCHED, Row
from zeroshelf.datasets.places import local_path, place
from zeroshelf.embeddings import compute
from zeroshelf.errors import Unreadable, UserError, one_line
from zeroshelf.images import decode
from zeroshelf.records import Encoder
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
    threads: int = 1  # that decode and embed in one worker; more than 1 for an accelerator


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
        done = Done()
        rows = block.to_pylist()
        plain = [row for row in rows if not row["kind"]]
        try:
            with ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch") as pool:
                fetched = ahead(pool, self._fetch, plain, _AHEAD)
                done += self._embed(fetched, None)
                for row in rows:
                    if row["kind"]:
                        done += self._embed(self._members(row), (row["uri"], row["etag"]))
        except _Stop:
            pass
        except OSError as error:
            raise UserError(f"{self._job.out} can't be written: {one_line(error)}") from None
        return done

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

    def _embed(self, items: Iterator[Item], container: tuple[str, str] | None) -> Done:
        """The items as parts; the last part of a container says that it is complete."""
        done = Done()
        rows = self._rows(items)
        part = list(itertools.islice(rows, self._job.rows))
        while part or container:
            following = list(itertools.islice(rows, self._job.rows))
            model = self._encoder.model
            made = parts.table(part, model.digest, model.dim, self._job.generation)
            parts.write_part(self._out, made, None if following else container)
            done += Done(len(part), sum(row.error is not None for row in part))
            if not following:
                break
            part = following
        return done

    def _batches(self, items: Iterator[Item]) -> Iterator[list[Item]]:
        while batch := list(itertools.islice(items, self._encoder.batch_size)):
            if self._stopped.is_set():
                raise _Stop
            yield batch

    def _rows(self, items: Iterator[Item]) -> Iterator[Row]:
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


class _Stop(Exception):
    """The run ends: a part that is begun is given up."""


def embed_items(batch: list[Item], encoder: Encoder) -> list[Row]:
    """A row for each item, in the same order."""
    readable: list[tuple[Item, str, tuple[str, decode.Content]]] = []
    rows: dict[str, Row] = {}
    for item in batch:
        try:
            if isinstance(item.content, Unreadable):
                raise item.content
            digest = decode.digest(item.content).hex()
            readable.append((item, digest, (item.suffix, item.content)))
        except Unreadable as trouble:
            rows[item.uri] = Row(item.uri, item.etag, error=str(trouble))
    answers = compute.embed_batch([file for _, _, file in readable], encoder)
    for (item, digest, _), answer in zip(readable, answers, strict=True):
        if isinstance(answer, Unreadable):
            rows[item.uri] = Row(item.uri, item.etag, digest, error=str(answer))
            continue
        width, height = answer.size or (None, None)
        note = answer.derived.note if answer.derived else None
        rows[item.uri] = Row(item.uri, item.etag, digest, width, height, answer.vector, note=note)
    return [rows[item.uri] for item in batch]
