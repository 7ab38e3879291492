"""`zeroshelf.embed_dataset`: the pictures of a source -> a dataset of Parquet parts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zeroshelf import checks
from zeroshelf.errors import ArgumentError, UserError, one_line
from zeroshelf.models import select
from zeroshelf.output.tables import required
from zeroshelf.records import Encoder, Progress
from zeroshelf.system import machine

if TYPE_CHECKING:
    import pyarrow

    from zeroshelf.datasets.worker import Done, Job

ENGINES = ("local", "ray")
LAYOUTS = ("parquet", "clip-retrieval")
_LEAST_ROWS, _MOST_ROWS = 16, 512  # of a part: a kill costs those of the parts in flight
_MOST_ROWS_ASKED, _MOST_WORKERS = 1_000_000, 10_000
_ROUNDS = 8  # parts for each worker at least, so that none is idle for long at the end


@dataclass(frozen=True)
class EmbeddedDataset:
    """A folder of embeddings that `embed_dataset` has written or completed."""

    out: str  # the folder, a path or URI
    model: str  # the model's id
    embedded: int  # rows that this run has written, those with an error included
    failed: int  # of these, pictures without an embedding: column `error` says why
    earlier: int  # rows that were there before
    endpoint: str | None = field(default=None, repr=False)
    device: str | None = None  # "cpu", "cuda", ...; None: nothing was embedded in this process
    # Of the vectors to float32's, on pictures of noise, where they were computed in half precision.
    half_cosine: float | None = None

    def __len__(self) -> int:
        """The number of pictures in the dataset, those with an error included."""
        from zeroshelf.datasets import parts, places

        return parts.count(places.place(self.out, self.endpoint))

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pyarrow.Table]:
        """The rows as Arrow tables, each picture once, in an order that never changes.

        columns: which of `uri`, `digest`, `width`, `height`, `model`, `embedding` (a fixed-size
            list of D float16, null where there is an error), `error`, `note`, `etag` and
            `generation`; None: all.
        """
        from zeroshelf.datasets import parts, places

        wanted = None if columns is None else checks.texts(columns, "columns")
        return parts.read_parts(places.place(self.out, self.endpoint), wanted)


def embed_dataset(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    model: str | None = None,
    engine: str = "local",
    layout: str = "parquet",
    endpoint: str | None = None,
    workers: int | None = None,
    rows: int | None = None,
    exclude: Sequence[str] = (),
    device: str | None = None,
    encoder: Encoder | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> EmbeddedDataset:
    """Embed the pictures of a folder, a bucket or an archive into Parquet files.

    Run again after an interruption, it goes on where it was. A picture of another version (the
    manifest's or the store's etag, else size and time) is embedded again, and its newer row counts.
    A picture that can't be used is a row with its error. Rows of what the source no longer has
    stay.

    source: a folder; a URI (s3://, gs://, what pyarrow or fsspec opens); a Parquet file with the
        columns uri, size, etag; WebDataset tars ("shards/{000..150}.tar"); Parquet files with the
        bytes of pictures, as Hugging Face writes them.
    out: the dataset's folder, a path or a URI.
    model: a model's id or folder; None: the best that is installed.
    engine: "local", threads of this process; "ray", the actors of a Ray cluster, on each of whose
        nodes zeroshelf and the model are, or of this machine where no cluster is connected.
    layout: "parquet"; "clip-retrieval": img_emb/*.npy and metadata/*.parquet beside it.
    endpoint: URL of a server that speaks S3's or Google's protocol, for source and out.
    workers: threads, or actors; None: one per core, or one per GPU of a Ray cluster.
    rows: pictures of a Parquet file at most; None: 16 to 512, by the number of pictures.
    exclude: glob patterns of paths that are left out; for a local folder.
    device: where the model runs, "cpu" or "cuda", ...; None: automatic.
    encoder: used in place of the model; only by the local engine.
    progress: called with a stage, how many pictures are done, and the total (0 if unknown).
    warn: called with each warning; None: a Python warning.

    Raises `UserError` where the source or the folder can't be used, the folder has embeddings of
    another model, or a tar has a key twice; `MissingPackage` without pyarrow or ray.
    """
    asked = _Asked(source, out, engine, layout, endpoint, workers, rows, exclude).checked()
    model = None if model is None else checks.path(model, "model")
    device = None if device is None else checks.text(device, "device")
    checks.encoder(encoder)
    for function in (progress, warn):
        checks.function(function, "progress or warn")
    if encoder is not None and engine == "ray":
        raise ArgumentError("encoder is for the local engine: Ray's actors open a model by its id")
    for library in ("pyarrow", "ray") if engine == "ray" else ("pyarrow",):
        required(library)
    encoder = encoder or select.load(select.find(model), device, warn=warn)
    run = _Run(asked, encoder, progress or (lambda stage, done, total: None))
    return run.embed(warn or warnings.warn)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `embed_dataset` was asked for."""

    source: str | os.PathLike[str]
    out: str | os.PathLike[str]
    engine: str
    layout: str
    endpoint: str | None
    workers: int | None
    rows: int | None
    exclude: Sequence[str]

    def checked(self) -> _Asked:
        """The same with plain types. Raises `ArgumentError`, and `UserError` for an empty name."""
        checks.choice(self.engine, "engine", ENGINES)
        checks.choice(self.layout, "layout", LAYOUTS)
        return replace(
            self,
            source=_name(self.source, "source"),
            out=_name(self.out, "out"),
            endpoint=None if self.endpoint is None else checks.text(self.endpoint, "endpoint"),
            workers=_number(self.workers, "workers", _MOST_WORKERS),
            rows=_number(self.rows, "rows", _MOST_ROWS_ASKED),
            exclude=checks.texts(self.exclude, "exclude"),
        )


def _name(value: object, what: str) -> str:
    found = checks.path(value, what)
    if not found:
        raise UserError(f"{what} is empty: give a folder or a URI")
    return found


def _number(value: object, what: str, most: int) -> int | None:
    if value is None:
        return None
    if (found := checks.count(value, what)) == 0:
        raise checks.refuse(what, "a whole number from 1 on, or None", value)
    return min(found, most)


class _Run:
    """One run of `embed_dataset`, its arguments checked and its packages there."""

    def __init__(self, asked: _Asked, encoder: Encoder, progress: Progress) -> None:
        from zeroshelf.datasets.places import absolute, place

        self._asked, self._encoder, self._progress = asked, encoder, progress
        self._source, self._out = absolute(str(asked.source)), absolute(str(asked.out))
        self._folder = place(self._out, asked.endpoint)

    def embed(self, warn: Callable[[str], object]) -> EmbeddedDataset:
        from zeroshelf.datasets import clip_retrieval, parts, sources
        from zeroshelf.datasets.places import local_path

        asked = self._asked
        self._progress("looking", 0, 0)
        leave_out = [local_path(self._out)] if self._folder.local else []
        listed = sources.manifest(
            self._source, asked.endpoint, exclude=asked.exclude, leave_out=leave_out, warn=warn
        )
        self._start()
        before = parts.count(self._folder)
        done = self._work(sources.unfinished(listed, self._folder, asked.endpoint))
        if asked.layout == clip_retrieval.NAME:
            clip_retrieval.write(self._folder)
        return EmbeddedDataset(
            self._out,
            self._encoder.model.id,
            done.rows,
            done.failed,
            before,
            asked.endpoint,
            getattr(self._encoder, "device", None),
            getattr(self._encoder, "half_cosine", None),
        )

    def _start(self) -> None:
        """Make the dataset's folder and record, or refuse the folder."""
        from zeroshelf.datasets import about, clip_retrieval

        try:
            self._folder.make_folder()
            record = about.start(self._folder, self._encoder.model, self._source)
            if self._asked.layout == clip_retrieval.NAME:
                clip_retrieval.claim(self._folder, record)
        except OSError as error:
            raise UserError(f"{self._out} can't be written: {one_line(error)}") from None

    def _work(self, todo: pyarrow.Table) -> Done:
        from zeroshelf.datasets import parts
        from zeroshelf.datasets.worker import Done, Job

        asked = self._asked
        if not todo.num_rows:
            return Done()
        job = Job(self._out, asked.endpoint, parts.next_generation(self._folder), asked.rows or 0)
        if asked.engine == "ray":
            from zeroshelf.datasets import on_ray

            plan = on_ray.connect(asked.workers)
            size = asked.rows or part_size(todo.num_rows, plan.actors)
            job = replace(job, rows=size, threads=plan.threads)
            each = on_ray.embed(blocks(todo, size), job, self._encoder, plan)
        else:
            count = asked.workers or machine.processors()
            job = replace(job, rows=asked.rows or part_size(todo.num_rows, count))
            each = _locally(todo, job, self._encoder, count)
        unknown = any(todo["kind"].to_pylist())  # how many pictures a container has
        done = Done()
        for one in each:
            done += one
            self._progress("embedding", done.rows, 0 if unknown else todo.num_rows)
        return done


def part_size(pictures: int, workers: int) -> int:
    """How many pictures a part has: fewer for a small source, so that all workers have some."""
    return min(_MOST_ROWS, max(_LEAST_ROWS, -(-pictures // (workers * _ROUNDS))))


def blocks(todo: Any, size: int) -> list[Any]:
    """The rows of a manifest as tables: `size` pictures each, each container by itself."""
    import pyarrow.compute as pc

    plain = todo.filter(pc.equal(todo["kind"], ""))
    packed = todo.filter(pc.not_equal(todo["kind"], ""))
    cut = [plain.slice(start, size) for start in range(0, plain.num_rows, size)]
    return cut + [packed.slice(row, 1) for row in range(packed.num_rows)]


def _locally(todo: pyarrow.Table, job: Job, encoder: Encoder, workers: int) -> Iterator[Done]:
    """A thread for each worker; decoding and inference leave the interpreter to the others. Where
    a device beside the processors computes, one worker whose threads only decode."""
    from zeroshelf.datasets.worker import Worker
    from zeroshelf.embeddings import feeding
    from zeroshelf.system.ahead import ahead

    if feeding.devices_of(encoder):
        worker = Worker(replace(job, threads=workers), encoder)
        try:
            for block in blocks(todo, todo.num_rows):  # else the device would wait at each block
                yield from worker.each(block)
        finally:
            worker.stop()
        return
    worker = Worker(job, encoder)
    given = blocks(todo, job.rows)
    with ThreadPoolExecutor(workers, thread_name_prefix="embed") as pool:
        try:
            yield from ahead(pool, worker.do, given, 2 * workers)
        finally:
            worker.stop()  # after Ctrl-C no one waits for whole parts
            pool.shutdown(wait=False, cancel_futures=True)
