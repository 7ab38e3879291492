"""A million pictures on one machine: CPU seconds, wall seconds and peak memory of each step.

    python -m benchmarks.million [--count 10000] [--dim 512] [--in FOLDER] [--only scan,plan]

Makes `count` tiny pictures (one 1 x 1 JPEG, each with a comment of its own, 100 folders) and a
cache of its own with a random vector and a small thumbnail for each; nothing is decoded. Then each
step runs in a process of its own:

    scan      list the folder
    labels    classify with cached vectors: scan, cache, texts of an invented model, decisions
    relabel   the same process: other labels for the same pictures (CPU seconds of that alone)
    score     the same vectors as a dataset: ready it, decide, write the results as Parquet
    rescore   the same in a new process: other labels for what is ready; rescore-40: 40 labels
    search    one query, compared with every vector in the cache's file
    plan      scan, plan a move by labels given out in turn, and write the plan
    apply     carry it out as `zeroshelf apply` does
    undo      put everything back; the tree is compared with what it was
    report    write the results, the table and the report of the decisions of `labels`
    page      open the review page's session, and ask for all that the page loads to open

For each step of `score` the whole process is measured too, from its start to its end: Python and
the imports included.

With `--dim 512` and a million pictures the cache takes 3 GB, the files 4 GB, the report 2 GB.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.search import BATCH, CLUSTERS, Invented, normal, unit
from zeroshelf.embeddings import cache_vectors
from zeroshelf.embeddings.cache import Embedded, EmbeddingCache
from zeroshelf.embeddings.derived import Derived
from zeroshelf.images import scan
from zeroshelf.records import Folder, PlanRequest
from zeroshelf.system import content_hash

FOLDERS = 100
LABELS = ("cat", "frog", "car", "harbour", "receipt")
OTHERS = ("dog", "boat", "kitchen", "snow", "mountain")
MANY = (
    "airplane", "apple", "ball", "bed", "bird", "book", "bottle", "bread", "bridge", "bus", "cake",
    "chair", "church", "clock", "computer", "cow", "door", "drum", "elephant", "fish", "flower",
    "guitar", "hat", "horse", "house", "island", "knife", "lamp", "lion", "map", "moon", "orange",
    "piano", "rabbit", "rose", "ship", "shoe", "train", "tree", "violin",
)  # fmt: skip
SCORED = {"score": LABELS, "rescore": OTHERS, "rescore-40": MANY}  # labels of each step
STEPS = (
    "scan", "labels", *SCORED, "search", "plan", "apply", "undo", "report", "page",
)  # fmt: skip
JPEG = base64.b64decode(  # 1 x 1 pixel
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwc"
    "KDcpLDAxNDQ0Hyc5PTgyPC4zNDL/wAALCAABAAEBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QA"
    "tRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0"
    "NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2"
    "t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/ACv/2Q=="
)


def content(number: int) -> bytes:
    """A picture with a comment segment of its own, so that no two contents are equal."""
    comment = number.to_bytes(8, "big")
    return JPEG[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + JPEG[2:]


def path_of(root: Path, number: int) -> Path:
    return root / f"{number % FOLDERS:03}" / f"IMG_{number // FOLDERS:06}.jpg"


def make_files(root: Path, count: int) -> None:
    for number in range(FOLDERS):
        (root / f"{number:03}").mkdir(parents=True)
    for number in range(count):
        path_of(root, number).write_bytes(content(number))


def make_cache(path: Path, root: Path, count: int, dim: int) -> None:
    """The first picture through the program, which makes the tables, the others straight into
    these, as the program would have left them."""
    rng = np.random.default_rng(0)
    centres = normal(rng, CLUSTERS, dim)
    found = sorted(scan.scan(str(root)).pictures, key=lambda one: os.fsencode(one.path))
    digests = [content_hash.of_bytes(Path(one.path).read_bytes()) for one in found]
    with EmbeddingCache.open(str(path)) as store:
        first = unit(normal(rng, 1, dim)).astype(np.float16)[0]
        made = Embedded(first, Derived(JPEG, None, 0))
        store.add("invented", [(found[0], digests[0], made)])

        def act(db: sqlite3.Connection) -> None:
            places: list[tuple[int, bytes, int, int]] = []
            for start in range(1, count, BATCH):
                size = min(BATCH, count - start)
                which = rng.integers(CLUSTERS, size=size)
                vectors = unit(centres[which] + normal(rng, size, dim)).astype(np.float16)
                chunk = cache_vectors.insert_chunk(db, 1, vectors)
                places.extend((1, digests[start + row], chunk, row) for row in range(size))
            db.executemany("INSERT INTO embedding VALUES (?,?,?,?)", sorted(places))
            db.executemany(
                "INSERT INTO file VALUES (?,?,?,?,?)",
                (
                    (os.fsencode(one.path), one.size, one.mtime_ns, one.ctime_ns, digest)
                    for one, digest in zip(found[1:], digests[1:], strict=True)
                ),
            )
            copy_derived(db, digests[0], sorted(digests[1:]))

        store._file.write(act)
        assert store.trouble is None, store.trouble


def copy_derived(db: sqlite3.Connection, first: bytes, others: list[bytes]) -> None:
    """What the cache keeps of the first picture beside its vector, for the others too."""
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        if "digest" not in columns or table in ("embedding", "file"):
            continue
        at = columns.index("digest")
        for row in db.execute(f"SELECT * FROM {table} WHERE digest = ?", (first,)).fetchall():
            places = ",".join("?" * len(row))
            kept = [None if name == "id" else row[i] for i, name in enumerate(columns)]
            rows = ((*kept[:at], digest, *kept[at + 1 :]) for digest in others)
            db.executemany(f"INSERT INTO {table} VALUES ({places})", rows)


# --- one step, in a process of its own -----------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def tell(self, step: str, **more: object) -> None:
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.wall
        print(json.dumps({"step": step, "cpu": cpu, "wall": wall, "peak": peak()} | more))


def peak() -> float:
    """The most memory that this process held, in MB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def child(step: str, home: Path, count: int, dim: int) -> None:
    clock = Clock()
    {
        "scan": step_scan,
        "labels": step_labels,
        **dict.fromkeys(SCORED, step_score),
        "search": step_search,
        "plan": step_plan,
        "apply": step_apply,
        "undo": step_undo,
        "report": step_labels,
        "page": step_page,
    }[step](home, count, dim, clock, step)


def step_scan(home: Path, count: int, dim: int, clock: Clock, step: str) -> None:
    assert len(scan.scan(str(home / "photos")).pictures) == count
    clock.tell(step)


def step_labels(home: Path, count: int, dim: int, clock: Clock, step: str) -> None:
    """Also the report, whose CPU seconds count from the decisions on."""
    from zeroshelf import classify

    encoder = Invented(dim)
    with EmbeddingCache.open(str(home / "cache.sqlite")) as store:
        root = home / "photos"
        run = classify(root, LABELS, encoder=encoder, store=store, corrections=False)
        assert len(run) == count and run.device is None
        if step == "report":
            report(run, home, clock)
            return
        clock.tell(step)
        clock = Clock()
        run.relabel(OTHERS)
        clock.tell("relabel (texts too)")
        clock = Clock()
        run.relabel(OTHERS)
        clock.tell("relabel")


def report(run: object, home: Path, clock: Clock) -> None:
    from zeroshelf.run import Run

    assert isinstance(run, Run)
    clock.tell("decisions for the report")
    clock = Clock()
    run.find_near_duplicates()
    clock.tell("near-duplicates")
    planned = run.plan(home / "sorted", "copy")
    clock = Clock()
    run.save(planned)
    clock.tell("save the run: plan, results, report", megabytes=size_of(Path(run.record or "")))
    (home / "record").write_text(run.id or "")


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 10**6


def make_dataset(home: Path, count: int, dim: int) -> None:
    """The cache's vectors as `zeroshelf embed` would write them."""
    from zeroshelf.datasets import parts
    from zeroshelf.datasets.places import place

    model = Invented(dim).model
    (home / "dataset").mkdir()
    with EmbeddingCache.open(str(home / "cache.sqlite")) as store:
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            digests = [content_hash.of_bytes(content(number)) for number in numbers]
            known, vectors = store.vectors(model.digest, digests)
            assert known.all()
            rows = [
                parts.Row(
                    path_of(home / "photos", number).as_uri(), "1", digest.hex(), 1, 1, vector
                )
                for number, digest, vector in zip(numbers, digests, vectors, strict=True)
            ]
            made = parts.table(rows, model.digest, dim)
            parts.write_part(place(str(home / "dataset")), made)


def step_score(home: Path, count: int, dim: int, clock: Clock, step: str) -> None:
    from zeroshelf.datasets.places import place
    from zeroshelf.datasets.score import score
    from zeroshelf.labels.parse import parse

    encoder, labels = Invented(dim), parse(SCORED[step])
    dataset, results = place(str(home / "dataset")), home / f"{step}-results"
    shutil.rmtree(results, ignore_errors=True)
    with EmbeddingCache.open(str(home / "cache.sqlite")) as store:
        clock = Clock()
        found = score(dataset, labels, place(str(results)), encoder=encoder, store=store)
    assert sum(found.counts.values()) == count
    clock.tell(step, megabytes=size_of(results))


def step_search(home: Path, count: int, dim: int, clock: Clock, step: str) -> None:
    from zeroshelf.search import exact, sources

    encoder = Invented(dim)
    with EmbeddingCache.open(str(home / "cache.sqlite")) as store:
        source = sources.InCache(store, encoder.model, str(home / "photos"))
        exact.best(source.cosines(encoder.embed_texts(["red car"]))[:, 0], 20)
        assert len(source) == count
    clock.tell(step)


def placements(found: Folder) -> Iterator[tuple[object, str, None]]:
    for number, picture in enumerate(found.pictures):
        yield picture, LABELS[number % len(LABELS)], None


def step_plan(home: Path, count: int, dim: int, clock: Clock, step: str) -> None:
    from zeroshelf.actions import plan
    from zeroshelf.runs import registry

    found = scan.scan(str(home / "photos"))
    request = PlanRequest(found.root, str(home / "sorted"), "move")
    planned = plan.make(request, placements(found))  # type: ignore[arg-type]
    assert len(planned.actions) == count
    record = registry.new(planned)[1]
    clock.tell(step)
    (home / "move").write_text(record)


def step_apply(home: Path, count: int, dim: int, clock: Clock, step: str) -> None:
    from zeroshelf.actions import apply
    from zeroshelf.commands.files import Told

    told = Told()
    apply.carry_out((home / "move").read_text(), told.take)
    assert told.counts == {"done": count}
    clock.tell(step)


def step_undo(home: Path, count: int, dim: int, clock: Clock, step: str) -> None:
    from zeroshelf.actions import undo
    from zeroshelf.commands.files import Told

    told = Told()
    undo.carry_out((home / "move").read_text(), told.take)
    assert told.counts == {"done": count}
    clock.tell(step)
    for number in range(count):
        assert path_of(home / "photos", number).read_bytes() == content(number)
    assert not (home / "sorted").exists()


def step_page(home: Path, count: int, dim: int, clock: Clock, step: str) -> None:
    from starlette.testclient import TestClient

    from zeroshelf.review import app
    from zeroshelf.review.jobs import Jobs
    from zeroshelf.review.session import Session
    from zeroshelf.run import shown

    with EmbeddingCache.open(str(home / "cache.sqlite")) as store:
        name = (home / "record").read_text()
        run = shown.open_saved(name, encoder=Invented(dim), store=store)
        clock.tell("open the run's page: start-up, what is shown")
        clock = Clock()
        with Session(run) as session:
            made = app.make(session, Jobs(session), "token")
            clock.tell("make the page")
            client = TestClient(made, base_url="http://127.0.0.1:1/token")
            clock, total = Clock(), 0
            for address in ("", "pictures", "columns", "state?since=-1", f"thumbnail/{count - 1}"):
                answer = client.get(f"http://127.0.0.1:1/token/{address}")
                assert answer.status_code == 200, address
                total += len(answer.content)
            clock.tell("answers that open the page", megabytes=total / 1e6)
            clock = Clock()
            session.complete()
            clock.tell("the run itself, once an edit needs it")


# --- all steps -----------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--in", dest="place", help="a folder of the disk to measure")
    parser.add_argument("--keep", help="make all in this folder and keep it; used again if there")
    parser.add_argument("--only", default=",".join(STEPS), help="steps, with commas between them")
    parser.add_argument("--child", nargs=2, metavar=("STEP", "HOME"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]), given.count, given.dim)
    elif given.keep:
        measure(Path(given.keep), given)
    else:
        with tempfile.TemporaryDirectory(dir=given.place) as home:
            measure(Path(home), given)


def cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def measure(home: Path, given: argparse.Namespace) -> None:
    print(f"{given.count:,} pictures, vectors of {given.dim} numbers, {datetime.now(UTC):%F}")
    if not (home / "cache.sqlite").exists():
        make_files(home / "photos", given.count)
        make_cache(home / "cache.sqlite", home / "photos", given.count, given.dim)
    if SCORED.keys() & set(given.only.split(",")) and not (home / "dataset").exists():
        make_dataset(home, given.count, given.dim)
    print(f"{'step':38} {'CPU s':>8} {'wall s':>8} {'peak MB':>8}", flush=True)
    environment = {"OPENBLAS_NUM_THREADS": "1"} | os.environ  # as the program (__main__.py)
    environment["ZEROSHELF_RUNS"] = str(home / "runs")
    words = [sys.executable, "-m", "benchmarks.million", f"--count={given.count}"]
    for step in given.only.split(","):
        wall, cpu = time.perf_counter(), cpu_of_children()
        out = subprocess.run(
            [*words, f"--dim={given.dim}", "--child", step, str(home)],
            check=True, capture_output=True, text=True, env=environment,
        ).stdout  # fmt: skip
        lines = [json.loads(line) for line in out.splitlines()]
        if step in SCORED:
            wall, cpu = time.perf_counter() - wall, cpu_of_children() - cpu
            name = f"{step}, the whole process"
            lines.append({"step": name, "cpu": cpu, "wall": wall, "peak": lines[-1]["peak"]})
        for told in lines:
            more = f"  {told['megabytes']:,.0f} MB" if "megabytes" in told else ""
            name, cpu, wall = told["step"], told["cpu"], told["wall"]
            print(f"{name:38} {cpu:8.2f} {wall:8.2f} {told['peak']:8.0f}{more}", flush=True)


if __name__ == "__main__":
    main()
