"""Waiting for the next look: events wake it early, and nothing depends on them."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

import pytest

from tests.waiting import HANG
from zeroshelf.watch.wake import Waiter


def waits(waiter: Waiter) -> threading.Thread:
    thread = threading.Thread(target=waiter, args=(HANG,), daemon=True)
    thread.start()
    return thread


def test_a_change_wakes_it(tmp_path: Path) -> None:
    pytest.importorskip("watchdog")
    waiter = Waiter(str(tmp_path))
    assert waiter.start()
    thread = waits(waiter)
    (tmp_path / "new.txt").write_text("new")
    thread.join(HANG)
    assert not thread.is_alive()
    waiter.stop()


def test_what_watchdog_logs_is_not_printed(tmp_path: Path, capfd) -> None:
    pytest.importorskip("watchdog")
    waiter = Waiter(str(tmp_path))
    waiter.start()
    for name in ("watchdog", "watchdog.observers.inotify"):
        logging.getLogger(name).error("InotifyEmitter.queue_events() called when inactive")
    waiter.stop()
    assert capfd.readouterr() == ("", "")


def test_it_waits_without_watchdog_and_without_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Waiter(str(tmp_path / "away"))
    assert not away.start()
    away(0.01)
    (tmp_path / "away").mkdir()
    away(0.01)  # asks again
    away.stop()
    monkeypatch.setitem(sys.modules, "watchdog", None)
    without = Waiter(str(tmp_path))
    assert not without.start()
    without(0.01)
    without.stop()
