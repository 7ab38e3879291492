"""Sort many small files by move and undo them: time, peak memory, nothing lost.

    python -m benchmarks.files [--files 50000] [--as move] [--in FOLDER]

Scan, plan, save, apply and undo, as `zeroshelf sort --as move` does once the answers are known.
The same tree is compared before and after, names, times and modes included.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LABELS = ("cat", "frog", "car", "harbour", "other")
FOLDERS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--as", dest="kind", default="move")
    parser.add_argument("--in", dest="place", default=None, help="a folder of the disk to measure")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.place) as home:
        os.environ["ZEROSHELF_RUNS"] = os.path.join(home, "runs")
        measure(os.path.join(home, "photos"), os.path.join(home, "sorted"), given.files, given.kind)


def measure(source: str, to: str, files: int, kind: Any) -> None:
    from zeroshelf.actions import plan
    from zeroshelf.actions.apply import apply
    from zeroshelf.actions.undo import undo
    from zeroshelf.images import scan
    from zeroshelf.records import PlanRequest
    from zeroshelf.runs import registry

    make(source, files)
    before = dict(tree(source))
    start = peak()
    print(f"{files:,} files in {FOLDERS} folders, {kind}; {start:.0f} MB before the first step")
    with step("scan"):
        found = scan.scan(source)
    placed = ((p, LABELS[i % len(LABELS)], None) for i, p in enumerate(found.pictures))
    with step("plan"):
        planned = plan.make(PlanRequest(found.root, to, kind), placed)
    with step("save the plan"):
        record = registry.new(planned)[1]
    del planned, found
    with step("apply"):
        outcomes = apply(record)
    assert {o.status for o in outcomes} == {"done"} and len(outcomes) == files
    assert kind != "move" or dict(tree(source)).keys() == {p for p in before if os.path.isdir(p)}
    del outcomes
    with step("undo"):
        outcomes = undo(record)
    assert {o.status for o in outcomes} == {"done"}
    assert dict(tree(source)) == before and not os.path.exists(to)
    print("the tree is what it was: names, times, modes and contents")


def make(source: str, files: int) -> None:
    for number in range(FOLDERS):
        os.makedirs(os.path.join(source, f"{number:03}"))
    for number in range(files):
        path = os.path.join(source, f"{number % FOLDERS:03}", f"IMG_{number // FOLDERS:04}.jpg")
        with open(path, "wb") as file:
            file.write(b"\xff\xd8\xff\xe0" + number.to_bytes(8, "big") * 250)
    os.sync()


def tree(root: str) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """path -> mode, mtime and the content's own number."""
    for here, folders, names in os.walk(root):
        for name in (*folders, *names, "."):
            path = os.path.join(here, name)
            at = os.lstat(path)
            number = -1
            if name in names:
                with open(path, "rb") as file:
                    file.seek(4)
                    number = int.from_bytes(file.read(8), "big")
            yield path, (at.st_mode, at.st_mtime_ns, number)


@contextmanager
def step(name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"{name:14} {time.perf_counter() - began:7.2f} s   peak {peak():5.0f} MB")


def peak() -> float:
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


if __name__ == "__main__":
    main()
