"""Images block by block, in threads."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from tests.waiting import HANG
from zeroshelf import __main__ as program
from zeroshelf.decisions.blocks import blocks, in_threads
from zeroshelf.decisions.negative_scores import greatest
from zeroshelf.system import machine


def test_blocks_cover_every_row_once() -> None:
    assert [*blocks(7, 3)] == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert [*blocks(0, 3)] == []


def test_what_threads_make_comes_in_the_order_of_what_they_were_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though the first is done last; and what they are given is read in one thread, no more
    of it than a few ahead."""
    monkeypatch.setattr(machine, "processors", lambda: 3)
    read: list[int] = []
    later = threading.Event()  # a later one is done

    def given() -> Iterator[int]:
        for number in range(20):
            assert threading.current_thread() is threading.main_thread()
            read.append(number)
            yield number

    def work(number: int) -> int:
        assert threading.current_thread() is not threading.main_thread()
        if number == 0:
            assert later.wait(HANG), "the first must not keep the next ones from being worked on"
        later.set()
        return number * number

    made = []
    for one in in_threads(work, given()):
        made.append(one)
        assert len(read) <= len(made) + 4
    assert made == [number * number for number in range(20)]


def test_an_error_in_a_thread_is_raised_where_its_result_is_asked_for() -> None:
    made = in_threads(lambda number: 1 // (2 - number), range(5))
    assert next(made) == 0
    assert next(made) == 1
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_the_greatest_come_first_and_of_equal_ones_the_first() -> None:
    least = -np.inf
    values = np.array([[1, 3, 3, 2], [5, 5, 5, 5], [least, 0, least, least]], np.float32)
    kept = values.copy()
    best, which = greatest(values, 3)
    np.testing.assert_array_equal(best, [[3, 3, 2], [5, 5, 5], [0, least, least]])
    np.testing.assert_array_equal(which[:2], [[1, 2, 3], [0, 1, 2]])
    assert which[2, 0] == 1
    np.testing.assert_array_equal(values, kept)


@pytest.mark.parametrize(("given", "wanted"), [(None, "1"), ("4", "4")])
def test_numpy_has_no_threads_of_its_own_in_the_program(
    given: str | None, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But where the environment says how many."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", given or "")
    if given is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    monkeypatch.setattr(program, "run", lambda: 0)
    monkeypatch.setattr(gc, "set_threshold", lambda count: None)
    with pytest.raises(SystemExit):
        program.main()
    assert os.environ["OPENBLAS_NUM_THREADS"] == wanted
