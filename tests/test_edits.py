"""The log of edits and its replay; what a restart finds after kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import HANG
from zeroshelf.errors import UserError
from zeroshelf.labels import parse
from zeroshelf.runs import edit_log

CATS = parse.parse(["cat", "dog"])


def test_the_last_word_about_a_picture_counts() -> None:
    events = [edit_log.place("cat", ["a", "b"]), edit_log.place("other", ["b"])]
    assert edit_log.replay(CATS, events).corrected == {"a": "cat", "b": "other"}


def test_a_name_is_followed_through_all_its_changes() -> None:
    first, second = parse.parse(["tom", "dog"]), parse.parse(["pet"])
    events = [
        edit_log.label(first, {"cat": "tom"}),
        edit_log.label(second, {"tom": "pet", "dog": "pet"}),
    ]
    assert edit_log.replay(CATS, events).renamed == {"cat": "pet", "dog": "pet"}
    assert edit_log.replay(CATS, [*events, edit_log.undo(1)]).renamed == {"cat": "tom"}


def test_an_undone_edit_never_was() -> None:
    events = [edit_log.place("cat", ["a"]), edit_log.place("dog", ["a"]), edit_log.undo(1)]
    edited = edit_log.replay(CATS, events)
    assert edited.corrected == {"a": "cat"} and edited.last == 0
    assert edit_log.replay(CATS, [*events, edit_log.undo(0)]) == edit_log.Edited(CATS)


def test_what_was_learnt_gives_way_to_a_persons_word_and_never_the_reverse() -> None:
    events = [edit_log.accept({"dog": ["a", "b"]}), edit_log.place("cat", ["a"])]
    edited = edit_log.replay(CATS, events)
    assert edited.corrected == {"a": "cat"} and edited.accepted == {"b": "dog"}


def test_pictures_follow_a_renamed_label_and_a_dropped_one_that_comes_back() -> None:
    events = [
        edit_log.place("cat", ["a"]),
        edit_log.place("dog", ["b"]),
        edit_log.label(parse.parse(["kitty"]), {"cat": "kitty"}),
    ]
    edited = edit_log.replay(CATS, events)
    assert edited.labels.names == ("kitty",) and edited.corrected == {"a": "kitty", "b": "dog"}
    assert edit_log.replay(CATS, [*events, edit_log.undo(2)]).corrected == {"a": "cat", "b": "dog"}


PLACES = st.builds(
    edit_log.place, st.sampled_from(["cat", "dog", "other"]), st.lists(st.text("ab"))
)
EVENTS = st.lists(st.one_of(PLACES, st.builds(edit_log.offset, st.floats(-5, 5))), max_size=8)


@given(EVENTS)
def test_undoing_everything_leaves_nothing(events: list[edit_log.Event]) -> None:
    history = list(events)
    while (last := edit_log.replay(CATS, history).last) is not None:
        history.append(edit_log.undo(last))
    assert edit_log.replay(CATS, history) == edit_log.Edited(CATS)


@given(EVENTS)
def test_a_log_is_read_as_it_was_written(events: list[edit_log.Event]) -> None:
    assert [json.loads(json.dumps(event)) for event in events] == events


def test_names_that_are_no_utf8_come_back(tmp_path: Path) -> None:
    log = edit_log.Log(str(tmp_path))
    log.add(edit_log.place("cat", ["caf\udce9\n.jpg"]))
    log.close()
    assert edit_log.read(str(tmp_path))[0]["pictures"] == ["caf\udce9\n.jpg"]


def test_edits_are_on_the_disk_in_their_order_before_they_are_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def fsync(number: int) -> None:
        sync(number)
        synced.append((tmp_path / edit_log.NAME).read_text("ascii"))

    monkeypatch.setattr(os, "fsync", fsync)
    log = edit_log.Log(str(tmp_path))
    events = [
        edit_log.place("cat", ["a"]),
        edit_log.place("dog", ["a"]),
        edit_log.place("cat", ["b"]),
    ]
    assert log.add(*events) == 2 and log.events == events
    log.close()
    written = [{"zeroshelf_edits": 1}, *events]
    assert [[json.loads(line) for line in text.splitlines()] for text in synced] == [written]


def test_half_a_line_never_was_an_edit(tmp_path: Path) -> None:
    log = edit_log.Log(str(tmp_path))
    log.add(edit_log.place("cat", ["a"]))
    log.close()
    path = tmp_path / edit_log.NAME
    path.write_bytes(path.read_bytes() + b'{"do": "place", "sh')
    again = edit_log.Log(str(tmp_path))
    assert len(again.events) == 1 and again.add(edit_log.place("dog", ["b"])) == 1
    again.close()
    assert [event["shelf"] for event in edit_log.read(str(tmp_path))] == ["cat", "dog"]


def test_a_damaged_log_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / edit_log.NAME).write_text('{"do": "bold", "by": 1}\nnonsense\n')
    with pytest.raises(UserError, match="line 2"):
        edit_log.read(str(tmp_path))


def test_unsettled_is_what_the_plan_does_not_hold(tmp_path: Path) -> None:
    assert not edit_log.plan_is_outdated(str(tmp_path))
    log = edit_log.Log(str(tmp_path))
    log.add(edit_log.place("cat", ["a"]))
    assert edit_log.plan_is_outdated(str(tmp_path))
    edit_log.note_planned(str(tmp_path), 1)
    assert not edit_log.plan_is_outdated(str(tmp_path))
    log.close()


SERVER = """
import sys
from pathlib import Path
from tests.reviewing import colour_run, serving
import tests.reviewing
run = colour_run(Path(sys.argv[1]), each=4)
with serving(run) as (session, address):
    print(address, session.record, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("after", "together"), [(1, 1), (7, 1), (40, 1), (120, 1), (199, 1), (40, 8)]
)
def test_every_confirmed_edit_survives_kill_9(tmp_path: Path, after: int, together: int) -> None:
    """200 edits are on their way, some in one request; the server dies once so many were
    confirmed."""
    pytest.importorskip("uvicorn", reason="the review extra is not installed")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])},
    )
    assert server.stdout
    address, record = server.stdout.readline().split()
    confirmed = 0
    for first in range(0, 200, together):
        several = [
            {"do": "place", "rows": [number % 12], "shelf": ("red", "green")[number % 2]}
            for number in range(first, first + together)
        ]
        body = json.dumps(several if together > 1 else several[0])
        request = urllib.request.Request(address + "edit", body.encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=HANG) as answer:
                confirmed = json.load(answer)["edits"]
        except OSError:
            break
        if confirmed == after:
            server.send_signal(signal.SIGKILL)
    server.wait()
    assert server.returncode == -signal.SIGKILL
    kept = edit_log.read(record)
    assert len(kept) >= confirmed >= after
    assert [event["shelf"] for event in kept] == [
        ("red", "green")[number % 2] for number in range(len(kept))
    ]
