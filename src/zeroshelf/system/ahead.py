"""Work that is begun before its result is asked for, in a bounded number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def ahead(
    pool: ThreadPoolExecutor, work: Callable[[Given], Made], given: Iterable[Given], most: int
) -> Iterator[Made]:
    """`work` of each in their order; at most `most` are begun before they are asked for."""
    pending: deque[Future[Made]] = deque()
    try:
        for one in given:
            pending.append(pool.submit(work, one))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
