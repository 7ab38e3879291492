"""How much work something is, counted: what a test may bound where the clock must not decide."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines(work: Callable[[], object]) -> int:
    """How many lines of the package are executed by `work`: each turn of a loop counts."""
    count = 0

    def within(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return within

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        return within if "zeroshelf" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def growth(work: Callable[[int], object], size: int) -> float:
    """By what factor the work grows from twice `size` to four times, against from `size` to twice:
    2 for work that is in proportion, 4 for work that grows with the square. What is done once,
    whatever the size, doesn't count; `work` is called once before, for what is kept."""
    work(4 * size)
    one, two, four = (lines(lambda n=n: work(n * size)) for n in (1, 2, 4))  # type: ignore[misc]
    return (four - two) / (two - one)
