"""The review page of a saved run of N pictures, opened as `zeroshelf review RUN` opens it.

    python -m benchmarks.saved_page [--pictures 1000000] [--shelves 20] [--in FOLDER]

Decisions, vectors and names are made up, and none of the pictures is on the disk. One process
writes the run's record; another, whose CPU seconds, wall seconds and memory are printed, opens it
and asks for all that the page loads before its first picture.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.million import peak
from tests.colours import COLOURS, ColourEncoder
from tests.reviewing import large_run
from zeroshelf.embeddings import cache_vectors
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import ignored
from zeroshelf.runs import page_file, registry, request

BATCH = 4096


def write(home: Path, count: int, shelves: int) -> None:
    run = large_run(home / "pictures", count, shelves)
    assert run.record
    request.save(run.record, run.request)
    ignored.save(run.record, run.ignored)
    page_file.save(run.record, run, ())
    digests = run.embeddings.digests

    def act(db: sqlite3.Connection) -> None:
        model = cache_vectors.model_id(db, COLOURS.digest)
        places: list[tuple[int, bytes, int, int]] = []
        for start in range(0, count, BATCH):
            vectors = run.embeddings.vectors[start : start + BATCH]
            chunk = cache_vectors.insert_chunk(db, model, vectors)
            places += ((model, digests[start + row], chunk, row) for row in range(len(vectors)))
        db.executemany("INSERT INTO embedding VALUES (?,?,?,?)", sorted(places))

    with EmbeddingCache.open() as store:
        store._file.write(act)
        assert store.trouble is None, store.trouble
    size = os.path.getsize(os.path.join(run.record, page_file.NAME))
    print(f"page.arrays: {size / 1e6:,.0f} MB, {size / count:.0f} bytes a picture")


def open_page(count: int) -> None:
    from starlette.testclient import TestClient

    from zeroshelf.review import app
    from zeroshelf.review.jobs import Jobs
    from zeroshelf.review.session import Session
    from zeroshelf.run import shown

    def tell(what: str) -> None:
        wall = time.perf_counter() - start
        print(f"{what:34} {time.process_time():8.2f} {wall:8.2f} {peak():8.0f}")

    start = time.perf_counter()
    print(f"{'so far':34} {'CPU s':>8} {'wall s':>8} {'peak MB':>8}")
    tell("start-up of Python and modules")
    with EmbeddingCache.open() as store:
        (name,) = (one for one in os.listdir(registry.root()) if one[0].isdigit())
        run = shown.open_saved(name, encoder=ColourEncoder(), store=store)
        assert isinstance(run.pictures, page_file.Pictures), "it is from its file"
        tell("what the page shows is read")
        with Session(run) as session:
            client = TestClient(app.make(session, Jobs(session), "token"))
            tell("the page is made")
            for address in ("", "pictures", "columns", "state?since=-1"):
                answer = client.get(f"http://127.0.0.1:1/token/{address}")
                assert answer.status_code == 200, address
                size = len(answer.content)
                tell(f"/{address.split('?')[0]}: {size / 1e6:.1f} MB, {size / count:.1f} a picture")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--shelves", type=int, default=20)
    parser.add_argument("--in", dest="place", help="a folder of the disk to measure")
    parser.add_argument("--step", choices=["write", "open"], help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step == "write":
        write(Path(given.home), given.pictures, given.shelves)
    elif given.step == "open":
        open_page(given.pictures)
    else:
        with tempfile.TemporaryDirectory(dir=given.place) as home:
            names = {f"ZEROSHELF_{name}": f"{home}/{name.lower()}" for name in ("CACHE", "RUNS")}
            words = [f"--pictures={given.pictures}", f"--shelves={given.shelves}", f"--home={home}"]
            for step in ("write", "open"):
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.saved_page", *words, f"--step={step}"],
                    check=True,
                    env=os.environ | names,
                )


if __name__ == "__main__":
    main()
