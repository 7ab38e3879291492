"""The images of a folder block by block: memory stays bounded, and processors share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from zeroshelf.system import machine
from zeroshelf.system.ahead import ahead

THREADS = 8  # at most: each has a block in memory

Given = TypeVar("Given")
Made = TypeVar("Made")


def blocks(count: int, size: int) -> Iterator[slice]:
    """The rows of `count` images, `size` at a time."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def in_threads(
    work: Callable[[Given], Made], given: Iterable[Given], threads: int = THREADS
) -> Iterator[Made]:
    """`work` of each, in their order. NumPy computes without Python's lock, so that threads help.

    given: is iterated in the caller's thread alone, shortly ahead of what is asked for: a file may
        be read there.
    threads: at most so many, and at most one for each processor.
    """
    workers = min(threads, machine.processors())
    with ThreadPoolExecutor(workers, thread_name_prefix="blocks") as pool:
        yield from ahead(pool, work, given, workers + 1)
