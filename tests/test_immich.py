"""Tags and albums on an Immich server: set, repeated without effect, undone."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.colours import BLUE, GREY, RED, ColourEncoder, paint
from tests.immich_api import VERSIONS, Api
from tests.immich_server import KEY, Immich, serving
from tests.program import command
from zeroshelf.errors import UserError
from zeroshelf.integrations.immich import client as clients
from zeroshelf.integrations.immich.client import Client
from zeroshelf.integrations.immich.ledger import NAME, Ledger
from zeroshelf.run import Run, classify
from zeroshelf.runs import registry

NEWEST = ("2.7.5", "3.2.2")


@pytest.fixture(params=NEWEST)
def immich(request, monkeypatch: pytest.MonkeyPatch) -> Iterator[Immich]:
    monkeypatch.setattr(clients, "PAUSES", (0.0, 0.0))
    with serving(Immich(request.param)) as found:
        yield found
        assert not found.faults


@pytest.fixture
def run(tmp_path: Path, colours: None, encoder: ColourEncoder, monkeypatch) -> Run:
    """Two red pictures, a blue one and a grey one; saved, not applied."""
    monkeypatch.setenv("ZEROSHELF_IMMICH_KEY", KEY)
    root = tmp_path / "pictures"
    for name, colour in (("a", RED), ("b", (220, 30, 30)), ("c", BLUE), ("grey", GREY)):
        paint(root / f"{name}.png", colour)
    run = classify(root, ["red", "blue"], encoder=encoder)
    run.save(run.plan(tmp_path / "shelves", "move"))
    return run


@pytest.fixture
def ids(immich: Immich, run: Run) -> dict[str, str]:
    """Name of the file -> asset. All but b.png are on the server."""
    root = Path(run.request.folder)
    names = ["a.png", "c.png", "grey.png"]
    return {name: immich.add((root / name).read_bytes()) for name in names}


def tag(immich: Immich, *more: object) -> int:
    return command("immich", "tag", "--server", immich.address, "-y", *more)


def undo(immich: Immich, *more: object) -> int:
    return command("immich", "undo", "--server", immich.address, "-y", *more)


def test_tags_are_set_repeated_without_effect_and_undone(
    immich: Immich, run: Run, ids: dict[str, str], capsys
) -> None:
    assert tag(immich) == 0
    assert immich.calls[0] == "GET /server/version", "asked first"
    assert immich.of("tag", "zeroshelf/red") == {ids["a.png"]}
    assert immich.of("tag", "zeroshelf/blue") == {ids["c.png"]}
    assert not immich.of("tag", "zeroshelf/other")
    assert "Not on the server: 1 picture." in capsys.readouterr().out
    assert tag(immich, "--json") == 0
    assert json.loads(capsys.readouterr().out)["changed"] == {}
    assert undo(immich) == 0
    assert not any(assets for _, assets in immich.tags.values())
    capsys.readouterr()
    assert undo(immich, "--json") == 0
    assert json.loads(capsys.readouterr().out)["changed"] == {}


@pytest.mark.parametrize("immich", [v for v in VERSIONS if v not in NEWEST], indirect=True)
def test_older_versions_take_the_same_requests(
    immich: Immich, run: Run, ids: dict[str, str]
) -> None:
    assert tag(immich, "--albums") == 0
    assert immich.of("album", "zeroshelf/red") == {ids["a.png"]}
    assert tag(immich, "--albums") == 0
    assert undo(immich) == 0
    assert not immich.albums and not any(assets for _, assets in immich.tags.values())


def test_each_version_describes_what_is_asked_of_it() -> None:
    id = "00000000-0000-4000-8000-000000000001"
    for version in VERSIONS:
        api = Api(version)
        assert not api.faults_of_request("PUT /tags", {}, {}, {"tags": ["a"]})
        wrong: list[tuple[str, dict[str, str], dict[str, str], object]] = [
            ("PUT /tags", {}, {}, {"tags": "a"}),
            ("PUT /tags", {}, {}, {"tags": [1]}),
            ("PUT /tags", {}, {}, {"tags": [], "more": 1}),
            ("PUT /tags", {}, {}, {}),
            ("PUT /tags", {}, {}, None),
            ("PUT /tags", {}, {"page": "1"}, {"tags": []}),
            ("PUT /tags/{id}/assets", {"id": "1"}, {}, {"ids": [id]}),
            ("PUT /tags/{id}/assets", {"id": id}, {}, {"ids": ["1"]}),
            ("GET /albums", {}, {}, {}),
        ]
        for what, ids, query, body in wrong:
            assert api.faults_of_request(what, ids, query, body), (version, what, query, body)
        pages = [name for each in api.operations.values() for name in each["query"]]
        assert not {"page?", "size?", "page", "size"} & set(pages), "nothing comes in pages"


def test_an_album_of_another_user_is_never_filled(
    immich: Immich, run: Run, ids: dict[str, str]
) -> None:
    theirs = immich.answer("POST /albums", "", {"albumName": "zeroshelf/red"})["id"]
    immich.of_friend.add(theirs)
    assert tag(immich, "--albums") == 0
    assert immich.albums[theirs][1] == set()
    assert len(immich.albums) == 3, "theirs, and one a label of the user's own"
    assert undo(immich) == 0
    assert list(immich.albums) == [theirs]


def test_no_tag_is_ever_deleted(immich: Immich, run: Run, ids: dict[str, str]) -> None:
    tag(immich, "--albums")
    undo(immich)
    assert {value for value, _ in immich.tags.values()} == {"zeroshelf/red", "zeroshelf/blue"}
    assert not [call for call in immich.calls if call == "DELETE /tags/{id}"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(
    immich: Immich, run: Run, ids: dict[str, str], status: int
) -> None:
    immich.trouble = {what: [(status, False)] for what in immich.api.operations}
    assert tag(immich, "--albums") == 0
    immich.trouble = {what: [(status, False)] * 2 for what in immich.api.operations}
    assert undo(immich) == 0
    assert not immich.albums and not any(assets for _, assets in immich.tags.values())


def test_an_answer_that_is_lost_leaves_what_may_have_been_there(
    immich: Immich, run: Run, ids: dict[str, str], capsys
) -> None:
    immich.trouble = {"PUT /tags/{id}/assets": [(504, True)]}
    assert tag(immich) == 0
    assert immich.of("tag", "zeroshelf/red") == {ids["a.png"]}
    assert undo(immich) == 0
    assert "1 picture left as they are" in capsys.readouterr().err
    assert sum(len(assets) for _, assets in immich.tags.values()) == 1


def test_a_request_that_failed_without_effect_is_undone_whole(
    immich: Immich, run: Run, ids: dict[str, str]
) -> None:
    immich.trouble = {"PUT /tags/{id}/assets": [(502, False)], "GET /albums": [(500, True)]}
    assert tag(immich, "--albums") == 0
    ways = ("DELETE /tags/{id}/assets", "DELETE /albums/{id}")
    immich.trouble = {what: [(502, True)] for what in ways}
    assert undo(immich) == 0
    assert not immich.albums and not any(assets for _, assets in immich.tags.values())


def test_an_album_is_not_made_twice(immich: Immich, run: Run, ids: dict[str, str]) -> None:
    immich.trouble = {"POST /albums": [(504, True)]}
    assert tag(immich, "--albums") == 2
    assert tag(immich, "--albums") == 0
    assert sorted(name for name, _ in immich.albums.values()) == ["zeroshelf/blue", "zeroshelf/red"]


def test_a_server_that_asks_for_too_long_a_pause_is_told(
    immich: Immich, run: Run, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(clients, "MOST_PAUSE", -1.0)
    immich.trouble = {"POST /assets/bulk-upload-check": [(429, False)]}
    assert tag(immich) == 2
    assert "429 busy" in capsys.readouterr().err
    assert immich.calls.count("POST /assets/bulk-upload-check") == 1


@pytest.mark.parametrize("most", range(4, 8))
def test_an_undo_that_stops_anywhere_can_be_gone_on_with(
    immich: Immich, run: Run, ids: dict[str, str], most: int
) -> None:
    tag(immich, "--albums")
    immich.most, immich.calls = most - 2, []
    assert undo(immich) == 2
    immich.most = 10_000
    assert undo(immich) == 0
    assert not immich.albums and not any(assets for _, assets in immich.tags.values())


def test_what_a_picture_had_before_stays(immich: Immich, run: Run, ids: dict[str, str]) -> None:
    immich.answer("PUT /tags", "", {"tags": ["zeroshelf/red"]})
    immich.of("tag", "zeroshelf/red").add(ids["a.png"])
    tag(immich)
    undo(immich)
    assert immich.of("tag", "zeroshelf/red") == {ids["a.png"]}


def test_albums_are_made_used_and_removed_when_empty(
    immich: Immich, run: Run, ids: dict[str, str]
) -> None:
    mine = immich.answer("POST /albums", "", {"albumName": "x/blue"})["id"]
    assert tag(immich, "--albums", "--prefix", "x") == 0
    assert immich.of("album", "x/red") == {ids["a.png"]}
    assert immich.of("album", "x/blue") == {ids["c.png"]}
    assert tag(immich, "--albums", "--prefix", "x") == 0
    assert len(immich.albums) == 2
    immich.of("album", "x/red").add(ids["grey.png"])  # by the user, since
    undo(immich)
    assert immich.of("album", "x/red") == {ids["grey.png"]}, "not empty, so it stays"
    assert mine in immich.albums, "the user's own stays, empty as it was"
    immich.of("album", "x/red").clear()
    tag(immich, "--albums", "--prefix", "x")
    undo(immich)
    assert list(immich.albums) == [mine]


def test_pictures_are_found_where_the_run_put_them(
    immich: Immich, run: Run, ids: dict[str, str]
) -> None:
    assert run.saved and run.saved.plan
    run.apply(run.saved.plan)
    assert tag(immich) == 0
    assert immich.of("tag", "zeroshelf/red") == {ids["a.png"]}


def test_what_has_changed_since_the_run_gets_no_tag(
    immich: Immich, run: Run, ids: dict[str, str], capsys
) -> None:
    path = paint(Path(run.request.folder) / "a.png", BLUE)
    immich.add(path.read_bytes())
    assert tag(immich) == 1
    assert not immich.of("tag", "zeroshelf/red")
    assert "changed since the run" in capsys.readouterr().err


def test_what_lies_in_immichs_trash_gets_no_tag(
    immich: Immich, run: Run, ids: dict[str, str]
) -> None:
    immich.trashed.add(ids["a.png"])
    assert tag(immich) == 0
    assert not immich.of("tag", "zeroshelf/red")


def test_a_dry_run_changes_nothing(immich: Immich, run: Run, ids: dict[str, str]) -> None:
    assert command("immich", "tag", "--server", immich.address, "-n") == 0
    assert not immich.tags and not immich.albums
    assert run.record and not Path(run.record, NAME).exists()


def test_many_assets_go_in_batches(
    immich: Immich, run: Run, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from zeroshelf.integrations.immich import tagging

    monkeypatch.setattr(clients, "BATCH", 1)
    monkeypatch.setattr(tagging, "BATCH", 1)
    immich.add((Path(run.request.folder) / "b.png").read_bytes())
    assert tag(immich) == 0
    assert immich.calls.count("PUT /tags/{id}/assets") == 3
    assert immich.calls.count("POST /assets/bulk-upload-check") == 3
    undo(immich)
    assert not any(assets for _, assets in immich.tags.values())


def test_a_server_that_fails_on_the_way_can_be_gone_on_with_and_undone(
    immich: Immich, run: Run, ids: dict[str, str], capsys
) -> None:
    immich.most = 4  # version, check, tags, one tag
    assert tag(immich) == 2
    assert "500 Internal server error" in capsys.readouterr().err
    immich.most = 10_000
    assert tag(immich) == 0
    assert immich.of("tag", "zeroshelf/blue") and immich.of("tag", "zeroshelf/red")
    assert undo(immich) == 0
    assert not any(assets for _, assets in immich.tags.values())


def test_an_answer_that_never_came_is_told_and_not_guessed(
    immich: Immich, run: Run, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    real = Client.tag

    def cut(self: Client, id: str, assets: list[str]) -> object:
        real(self, id, assets)
        raise UserError("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(Client, "tag", cut)
        assert tag(immich) == 2
    assert tag(immich) == 0  # now they are there: by the cut call, or before
    assert undo(immich) == 0
    assert "1 picture left as they are" in capsys.readouterr().err
    assert sum(len(assets) for _, assets in immich.tags.values()) == 1


def test_a_tag_or_album_that_the_user_removed_is_no_trouble(
    immich: Immich, run: Run, ids: dict[str, str]
) -> None:
    tag(immich, "--albums")
    immich.tags.clear()
    immich.albums.clear()
    assert undo(immich) == 0


def test_a_run_that_is_on_no_server(immich: Immich, run: Run, capsys) -> None:
    assert tag(immich) == 0
    assert "Not on the server: 3 pictures." in capsys.readouterr().out
    assert undo(immich) == 0
    assert "added nothing" in capsys.readouterr().out


@pytest.mark.parametrize("version", [(1, 140, 0), (4, 0, 0)])
def test_other_versions_are_refused_before_anything_is_done(
    run: Run, version: tuple[int, int, int], capsys
) -> None:
    with serving(Immich(version=version)) as immich:
        assert tag(immich) == 2
        assert immich.calls == ["GET /server/version"]
    assert "only versions 2 and 3" in capsys.readouterr().err


def test_the_key_is_needed_and_never_told(
    immich: Immich, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "key").write_text("wrong-s3cret\n")
    assert tag(immich, "--key-file", tmp_path / "key") == 2
    told = capsys.readouterr()
    assert "permissions" in told.err and "s3cret" not in told.err + told.out
    assert tag(immich, "--key-file", tmp_path / "nothing") == 2
    monkeypatch.delenv("ZEROSHELF_IMMICH_KEY")
    assert tag(immich) == 2
    assert "no API key" in capsys.readouterr().err
    (tmp_path / "key").write_text(f"{KEY}\nand more")
    assert tag(immich, "--key-file", tmp_path / "key") == 2
    told = capsys.readouterr()
    assert "write the key alone" in told.err and KEY not in told.err + told.out
    (tmp_path / "key").write_text(f"{KEY}\r\n", encoding="utf-16")  # as PowerShell writes it
    assert tag(immich, "--key-file", tmp_path / "key", "--verbose") == 0
    assert run.record
    written = b"".join(p.read_bytes() for p in Path(run.record).rglob("*") if p.is_file())
    told = capsys.readouterr()
    assert KEY not in told.out + told.err and KEY.encode() not in written
    assert KEY not in repr(Client(immich.address, KEY)), "nor where a fault is shown"


@pytest.mark.parametrize(
    "server", ["nas:2283", "file:///etc/passwd", "http://", "http://me:pw@nas", "http://nas?x=1"]
)
def test_what_is_no_server_is_refused(server: str) -> None:
    with pytest.raises(UserError):
        Client(server, KEY)


def test_the_address_is_taken_with_and_without_api() -> None:
    for given in ("https://h.org/immich/api/", "https://h.org/immich", "https://h.org/immich/"):
        assert Client(given, KEY).server == "https://h.org/immich"
    assert Client("http://nas:2283", KEY).is_open and not Client("http://[::1]:1", KEY).is_open


def test_no_redirect_is_followed_and_no_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("x-api-key"))
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{other.server_port}/api/x")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    servers = [http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) for _ in range(2)]
    first, other = servers
    for one in servers:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{other.server_port}")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{other.server_port}")
    with pytest.raises(UserError, match="another address"):
        Client(f"http://127.0.0.1:{first.server_port}", KEY).version()
    assert seen == [KEY], "asked once, and the key went nowhere else"
    for one in servers:
        one.shutdown()
        one.server_close()


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b'{"major": "x"}', b"{}", b'{"major": 2, "minor": 1}']
)
def test_what_is_no_immich_is_told(answer: bytes) -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(UserError, match="doesn't answer as Immich"):
            Client(f"http://127.0.0.1:{server.server_port}", KEY).version()
        server.shutdown()


def test_a_server_that_is_away_is_told(run: Run, capsys) -> None:
    assert command("immich", "tag", "--server", "http://127.0.0.1:9", "-y") == 2
    assert "can't be reached" in capsys.readouterr().err


def test_two_servers_are_kept_apart_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    one, other = (Ledger(str(tmp_path), f"http://{name}") for name in ("one", "other"))
    group = one.group("tag", "t1", "zeroshelf/cat")
    one.begin(group, ["a", "b"])
    one.added(group, ["a"])
    other.group("tag", "t9", "zeroshelf/cat")
    with open(tmp_path / NAME, "ab") as file:
        file.write(b'{"server": "http://one", "added": ["tag", "t')
    again = Ledger(str(tmp_path), "http://one")
    assert [list(each.added) for each in again.groups.values()] == [["a"]]
    again.begin(again.groups["tag", "t1"], ["c"])
    later = Ledger(str(tmp_path), "http://one").groups["tag", "t1"]
    assert later.open == ("c",) and not later.unclear
    assert list(Ledger(str(tmp_path), "http://other").groups) == [("tag", "t9")]


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"zeroshelf_immich": 99, "server": "x"}\n')
    with pytest.raises(UserError, match="newer zeroshelf"):
        Ledger(str(tmp_path), "x")


def test_the_run_is_listed_as_before(immich: Immich, run: Run, ids: dict[str, str]) -> None:
    tag(immich)
    (listed,) = registry.all()
    assert isinstance(listed, registry.RunRecord) and listed.state == "planned"
