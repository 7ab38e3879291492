"""Who may ask, and what the answers are. Over a real socket; no browser."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.reviewing import TOKEN, colour_run, serving
from tests.waiting import HANG
from zeroshelf.actions import apply, journal, plan_file
from zeroshelf.commands.cli import cli
from zeroshelf.commands.edits import save_edits
from zeroshelf.corrections import stored
from zeroshelf.errors import UserError
from zeroshelf.review import jobs, one_picture
from zeroshelf.review.app import _Page
from zeroshelf.review.session import Session
from zeroshelf.review.shelves import MODEL, USER
from zeroshelf.run import classify, reopen
from zeroshelf.runs import edit_log, registry

SECRET = b"no picture: a secret"


class Client:
    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc

    def raw(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """`path` goes out byte for byte; headers as `Sec_Fetch_Site="none"`."""
        connection = http.client.HTTPConnection(self.host, timeout=HANG)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": self.host} | {k.replace("_", "-"): v for k, v in headers.items()}
        if body is not None:
            given.setdefault("Content-Length", str(len(body)))
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        found = answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        connection.close()
        return found

    def get(self, path: str) -> Any:
        status, body, _ = self.raw(f"/{TOKEN}/{path}")
        assert status == 200, body
        return json.loads(body)

    def edit(self, *several: dict[str, Any], **one: Any) -> tuple[int, Any]:
        what = json.dumps(several or one).encode()
        status, body, _ = self.raw(f"/{TOKEN}/edit", "POST", what)
        return status, json.loads(body)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Session, Client]]:
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "secret.txt").write_bytes(SECRET)
    with serving(colour_run(tmp_path, each=4)) as (session, address):
        yield session, Client(address)


def test_the_page_says_what_it_may_load(served: tuple[Session, Client]) -> None:
    status, body, headers = served[1].raw(f"/{TOKEN}/")
    assert status == 200 and b"<html" in body
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert b"http:" not in body and b"https:" not in body and b"style=" not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.7", ""]
)
def test_another_host_is_refused(served: tuple[Session, Client], host: str) -> None:
    assert served[1].raw(f"/{TOKEN}/", Host=host)[0] == 400


def test_a_tunnel_passes(served: tuple[Session, Client]) -> None:
    client = served[1]
    assert client.raw(f"/{TOKEN}/", Host="localhost:9000")[0] == 200
    body = json.dumps({"do": "undo"}).encode()
    there = {"Host": "localhost:9000", "Origin": "http://localhost:9000"}
    assert client.raw(f"/{TOKEN}/edit", "POST", body, **there)[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused(
    served: tuple[Session, Client], header: dict[str, str]
) -> None:
    session, client = served
    body = json.dumps({"do": "place", "rows": [0], "shelf": "red"}).encode()
    assert client.raw(f"/{TOKEN}/edit", "POST", body, **header)[0] == 403
    assert session.edit_count == 0


@pytest.mark.parametrize(
    "path", ["/", "/edit", "/state", "/wrong/", "/wrong/edit", f"/{TOKEN}", f"/{TOKEN}x/", "//"]
)
def test_without_the_token_nothing_answers(served: tuple[Session, Client], path: str) -> None:
    session, client = served
    status, body, _ = client.raw(path, "POST", b'{"do": "undo"}')
    assert status == 403 and b"red" not in body and session.edit_count == 0


PROBES = [
    "../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "..%5csecret.txt", "secret.txt",
    "pictures/../secret.txt", "picture/../../secret.txt", "picture/secret.txt", "picture/-1",
    "picture/99999", "picture/0/../../secret.txt", "picture/%2e%2e%2fsecret.txt", "picture//0",
    "picture/0%00", "picture/0x0", "picture/1e1", "thumbnail/-1", "thumbnail/12",
    "thumbnail/../index.html", "about/12", "about/-1", "about/etc/passwd", "/etc/passwd",
    "//etc/passwd", "file:///etc/passwd", "review.css/../../app.py", "app.py", "index.html",
    "state.js%00.css", "static/review.js", "data/review/review.js", ".git/config", "plan.jsonl",
    "edits.jsonl",
]  # fmt: skip


@pytest.mark.parametrize("probe", PROBES)
def test_no_path_leads_out(served: tuple[Session, Client], probe: str) -> None:
    status, body, _ = served[1].raw(f"/{TOKEN}/{probe}")
    assert status in (400, 403, 404, 409) and SECRET not in body and b"root:" not in body


@pytest.mark.parametrize(
    "what",
    [
        b'{"do": "place", "rows": [], "shelf": "nowhere"}',
        b'{"do": "place", "rows": [0], "shelf": "nowhere"}',
        b'{"do": "place", "rows": [-1], "shelf": "red"}',
        b'{"do": "place", "rows": [99999], "shelf": "red"}',
        b'{"do": "offset", "by": 1e9}', b'{"do": "offset", "by": 1' + 400 * b"0" + b"}",
        b'{"do": "offset", "by": NaN}', b'{"do": "add", "label": ""}',
        b'{"do": "add", "label": "Other"}',
        b'{"do": "add", "label": "red"}', b'{"do": "merge", "label": "red", "into": "red"}',
        b'{"do": "rename", "label": "red", "to": "../x"}', b'{"do": "drop", "label": "nowhere"}',
        b'{"do": "accept", "version": 7, "moves": [0]}',
    ],
)  # fmt: skip
def test_a_wrong_edit_changes_nothing(served: tuple[Session, Client], what: bytes) -> None:
    session, client = served
    before = session.shelves.columns.copy()
    status, body, _ = client.raw(f"/{TOKEN}/edit", "POST", what)
    assert status == 409 and json.loads(body)["error"]
    assert session.edit_count == 0 and (session.shelves.columns == before).all()


@pytest.mark.parametrize(
    "what",
    [
        b"", b"[]", b"null", b"{", b"7", b"\xff", b"[" * 200_000, b'{"do": "nothing"}',
        b"[0]", b'[{"do": "undo"}]', b'[[{"do": "place", "rows": [0], "shelf": "red"}]]',
        b'[{"do": "place", "rows": [0], "shelf": "red"}, {"do": "place", "rows": [1]}]',
        b'{"do": ["place"]}', b'{"do": "place"}', b'{"do": "place", "rows": [0]}',
        b'{"do": "place", "rows": [0], "shelf": ["red"]}', b'{"do": "offset", "by": "1"}',
        b'{"do": "offset", "by": true}', b'{"do": "accept", "version": 0, "moves": [null]}',
        *(b'{"do": "place", "shelf": "red", "rows": %s}' % rows for rows in (
            b"null", b"0", b"{}", b'"0"', b'["0"]', b'["x"]', b"[[0]]", b"[{}]", b"[null]",
            b"[true]", b"[0.5]", b"[0, [1]]", b"[NaN]", b"[1e999]",
        )),
    ],
    ids=lambda what: what[:60].decode(errors="replace"),
)  # fmt: skip
def test_what_is_no_edit_is_told_in_a_line(served: tuple[Session, Client], what: bytes) -> None:
    session, client = served
    status, body, _ = client.raw(f"/{TOKEN}/edit", "POST", what)
    told = json.loads(body)["error"]
    assert status == 400 and told.startswith("not understood: ") and "\n" not in told
    assert session.edit_count == 0


def test_several_placements_in_one_request_are_as_many_edits(
    served: tuple[Session, Client],
) -> None:
    session, client = served
    several = [
        {"do": "place", "rows": [row], "shelf": shelf}
        for row, shelf in ((3, "red"), (4, "red"), (3, "green"))
    ]
    status, answer = client.edit(*several)
    assert status == 200 and (answer["edits"], answer["version"]) == (3, 1)
    kept = [(event["pictures"], event["shelf"]) for event in edit_log.read(session.record)]
    three, four = session.paths[3:5]
    assert kept == [([three], "red"), ([four], "red"), ([three], "green")]
    client.edit(do="undo")
    assert session.edited.corrected == {three: "red", four: "red"}


def test_of_several_placements_all_are_kept_or_none(served: tuple[Session, Client]) -> None:
    session, client = served
    several = [{"do": "place", "rows": [3], "shelf": shelf} for shelf in ("red", "nowhere")]
    status, answer = client.edit(*several)
    assert status == 409 and "nowhere" in answer["error"]
    assert not edit_log.read(session.record) and not session.edited.corrected


def test_too_much_at_once_is_refused(served: tuple[Session, Client]) -> None:
    assert served[1].raw(f"/{TOKEN}/edit", "POST", Content_Length=str(1 << 30))[0] == 413


def test_pictures_are_served_decoded(served: tuple[Session, Client]) -> None:
    for path in ("thumbnail/0", "picture/0"):
        status, body, headers = served[1].raw(f"/{TOKEN}/{path}")
        assert status == 200 and headers["content-type"] == "image/jpeg" and body[:2] == b"\xff\xd8"


def test_an_older_page_is_told_what_changed(served: tuple[Session, Client]) -> None:
    _, client = served
    first = client.get("state")
    assert first["changed"] is None and first["shelves"] == ["red", "green", "other"]
    client.edit(do="place", rows=[3], shelf="green")
    since = client.get(f"state?since={first['version']}")
    assert since["changed"]["rows"] == [3] and since["changed"]["columns"] == [1]
    client.edit(do="add", label="blue")
    assert client.get(f"state?since={since['version']}")["changed"] is None


def test_words_find_pictures(served: tuple[Session, Client]) -> None:
    session, client = served
    rows = client.get("search?words=green")["rows"]
    assert sorted(session.paths[row] for row in rows) == [f"green-{at:02}.png" for at in range(4)]
    assert client.get("search?words=violin")["rows"] == []
    assert client.get("search?words=green%20-green")["rows"] == []


def test_the_slider_says_what_would_change_before_it_does(
    served: tuple[Session, Client],
) -> None:
    session, client = served
    would = client.get("offset?by=-20")
    assert would["other"][1] == 8 and session.edit_count == 0
    before = session.shelves.columns.copy()
    for by in ("nan", "inf", "1e9"):
        assert client.raw(f"/{TOKEN}/offset?by={by}")[0] == 409
    client.edit(do="offset", by=-20)
    assert (session.shelves.columns != before).sum() == 8


def test_a_review_that_ends_while_it_applies_says_so_and_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_for = threading.Event()

    class AtWork(jobs.Jobs):
        def __init__(self, session: Session) -> None:
            super().__init__(session)
            self.apply()

        def wait(self, *tell: Any) -> None:
            waited_for.set()
            super().wait(*tell)

    def slowly(record: str, *rest: Any) -> Any:
        assert waited_for.wait(HANG)
        return apply.carry_out(record, *rest)

    run = colour_run(tmp_path)
    monkeypatch.setattr("zeroshelf.commands.review._run", lambda *_: run)
    monkeypatch.setattr(jobs, "apply", SimpleNamespace(carry_out=slowly))
    monkeypatch.setattr(jobs, "Jobs", AtWork)
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)  # Ctrl-C at once
    ended = CliRunner().invoke(cli, ["review", "--no-open"])
    assert "Still applying: the command ends when it is done." in ended.output
    assert run.record and journal.state(run.record) == "applied"


def test_how_is_chosen_among_what_the_plan_allows(served: tuple[Session, Client]) -> None:
    session, client = served
    plan = Path(session.record, "plan.jsonl")
    before = plan.read_bytes()
    for kind in ("trash", "untag", "teleport", ["move"], 1):
        status, answer = client.edit(do="apply", kind=kind)
        assert status == 409 and "it is a copy" in answer["error"]
    assert plan.read_bytes() == before and journal.state(session.record) == "planned"
    session.first_plan = replace(session.first_plan, several=True)
    several = ("copy", "symlink", "relative-symlink", "hardlink", "tag")
    assert session.possible_actions == several
    session.first_plan = replace(session.first_plan, kind="tag")
    assert session.possible_actions == ("tag",)


def test_what_was_begun_in_one_way_goes_on_in_it(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=2)
    (tmp_path / "pictures" / "red-00.png").unlink()
    with Session(run) as session:
        job = jobs.Jobs(session)
        job.apply("copy")
        job.wait()
        assert job.progress.state == "partly"
        with pytest.raises(UserError, match="undo it first"):
            job.apply("move")
        job.apply("copy")
        job.wait()
        assert registry.find(run.id).kind == "copy"


def test_an_undo_that_ends_where_its_apply_began_is_told(tmp_path: Path) -> None:
    """Both may end between two looks at the state, and a page that saw the middle waits."""
    with Session(colour_run(tmp_path, each=2)) as session:
        at_work = jobs.Jobs(session)
        acts = at_work.apply, at_work.undo

        def there_and_back() -> None:
            for act in acts:
                act()
                at_work.wait()
            assert at_work.progress.state == "undone"

        async def connected() -> bool:
            return False

        async def told() -> None:
            request: Any = SimpleNamespace(is_disconnected=connected)
            answer: Any = _Page(session, at_work, str).changes(request)
            there_and_back()
            assert await anext(answer.body_iterator)
            there_and_back()  # in this thread: nothing looks meanwhile
            assert await asyncio.wait_for(anext(answer.body_iterator), HANG)

        asyncio.run(told())


def test_a_run_that_is_made_between_two_looks_is_told(tmp_path: Path) -> None:
    """A page that asked for the state meanwhile says so until it hears of the end."""
    with Session(colour_run(tmp_path, each=2)) as session:

        async def connected() -> bool:
            return False

        async def told() -> None:
            request: Any = SimpleNamespace(is_disconnected=connected)
            answer: Any = _Page(session, jobs.Jobs(session), str).changes(request)
            assert await anext(answer.body_iterator)
            session.made.making = "deciding", 3, 10
            session.made.making = None  # in this thread: nothing looks meanwhile
            assert await asyncio.wait_for(anext(answer.body_iterator), HANG)

        asyncio.run(told())


def test_what_the_user_corrected_is_never_moved(served: tuple[Session, Client]) -> None:
    session, client = served
    red = [row for row, path in enumerate(session.paths) if path.startswith("red")]
    client.edit(do="place", rows=red[:1], shelf="green")
    client.edit(do="place", rows=red[1:3], shelf="other")
    learnt = client.get("suggestions")
    client.edit(do="accept", version=learnt["version"], moves=list(range(len(learnt["moves"]))))
    client.edit(do="offset", by=15)
    names = np.array(session.names)[session.shelves.columns]
    assert names[red[0]] == "green" and list(names[red[1:3]]) == ["other", "other"]


def test_a_reopened_run_has_its_edits_and_its_plan(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=3)
    with Session(run) as session:
        session.place([0, 1], "green")
        session.add_label("blue")
        names = np.array(session.names)[session.shelves.columns].tolist()
        assert save_edits(session)
    again = reopen(run.id, encoder=run._sources.encoder, store=run._sources.store)
    with Session(again) as session:
        assert np.array(session.names)[session.shelves.columns].tolist() == names
        planned = plan_file.load(str(Path(session.record) / "plan.jsonl"))
    assert [action.label for action in planned.actions] == names


def test_corrections_are_followed_in_another_folder(tmp_path: Path) -> None:
    """In the second folder blue pictures are known to be red, because they were in the first."""
    run = colour_run(tmp_path / "one", each=3)
    with Session(run) as session:
        session.place([0, 1, 2], "red")  # blue pictures come first by name
        save_edits(session)
    other = colour_run(tmp_path / "two", each=5)
    assert other.counts == {"red": 10, "green": 5, "other": 0}
    assert any(
        "3 stored corrections" in note and "--no-corrections" in note for note in other.notes
    )
    with Session(
        reopen(other.id, encoder=other._sources.encoder, store=other._sources.store)
    ) as session:
        by = session.shelves.by
        assert (by[:3] == USER).all() and (by[3:] == MODEL).all()
        assert (session.shelves.columns == other.decisions.chosen).all()
        session.rename_label("red", "warm")
        assert (session.shelves.columns[:5] == session.names.index("warm")).all()
        session.place([0], "green")
        session.undo()
        assert (session.shelves.columns[:5] == session.names.index("warm")).all()


def test_stored_corrections_can_be_left_out_and_dropped(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4)
    again = partial(
        classify,
        tmp_path / "pictures",
        ["green", "red"],
        encoder=run._sources.encoder,
        store=run._sources.store,
    )
    blue = [path.name for path in (tmp_path / "pictures").glob("blue*")]
    run.correct(dict.fromkeys(blue[:3], "red")).store_corrections()
    followed = again()
    assert followed.counts == {"green": 4, "red": 8, "other": 0}
    assert again(corrections=False).counts == run.counts
    assert classify(  # other labels, other corrections
        tmp_path / "pictures", ["red"], encoder=run._sources.encoder, store=run._sources.store
    ).counts == {"red": 4, "other": 8}
    assert followed.correct({blue[0]: "green"}).counts == {"green": 5, "red": 7, "other": 0}
    stored.save(stored.path_for(run.labels, run.model), {}, run.model)
    assert again().counts == run.counts


def test_a_correction_that_is_undone_is_not_stored(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=2)
    with Session(run) as session:
        session.place([0], "red")
        session.place([1], "red")
        save_edits(session)
    assert len(stored.load_for(run.labels, run.model)) == 2
    sources = run._sources
    opened = reopen(run.id, edited=False, encoder=sources.encoder, store=sources.store)
    with Session(opened) as session:
        session.undo()
        save_edits(session)
    assert len(stored.load_for(run.labels, run.model)) == 1
    assert stored.load_for(run.labels, run.model)


def test_python_has_the_same(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4)
    asked = run.most_informative(2)
    assert len(asked) == 2
    blue = [path.name for path in (tmp_path / "pictures").glob("blue*")]
    corrected = run.correct(dict.fromkeys(blue[:3], "red"))
    assert corrected.counts == {"red": 8, "green": 4, "other": 0}
    assert run.counts == {"red": 4, "green": 4, "other": 4}
    assert (
        classify(
            tmp_path / "pictures",
            ["red", "green"],
            encoder=run._sources.encoder,
            store=run._sources.store,
        ).counts
        == run.counts
    )


@pytest.mark.parametrize("seconds", [9e11, -9e11, 1e20, -1e20])
def test_a_time_that_no_calendar_has_is_left_out(seconds: float) -> None:
    assert one_picture.day(seconds) is None
    assert one_picture.day(0) is not None
