"""What the app refuses: pages from elsewhere, folders outside of what is allowed, and every value
that does not fit its description."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from starlette.routing import Route

from tests.apping import TOKEN, call, done, labelled, serving, tree
from tests.colours import GREEN, RED, paint
from tests.waiting import HANG
from zeroshelf.app import operations
from zeroshelf.app.operations import OPERATIONS
from zeroshelf.app.server import make
from zeroshelf.app.state import App
from zeroshelf.runs import registry

Served = tuple[App, str, Path]


@pytest.fixture
def served(tmp_path: Path, colours: None) -> Iterator[Served]:
    """An app that may open `allowed` alone. Outside of it lies a secret, to which links lead."""
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    paint(outside / "secret" / "secret.png", RED)
    paint(tmp_path / "allowed-too" / "a.png", RED)
    for name, colour in (("a", RED), ("b", GREEN)):
        paint(allowed / "pictures" / f"{name}.png", colour)
    (allowed / "link").symlink_to(outside)
    (allowed / "pictures" / "deep").symlink_to(outside / "secret")
    (allowed / "file.txt").write_text("no folder")
    with serving(allowed) as (app, address):
        yield app, address, tmp_path


# A path that is refused, with {allowed} and {outside} in place of the two folders.
PATHS = {
    "a folder outside": "{outside}",
    "a folder below one outside": "{outside}/secret",
    "the root": "/",
    "etc": "/etc",
    "above by ..": "{allowed}/..",
    "out and in by ..": "{allowed}/../outside",
    "inside by ..": "{allowed}/pictures/../pictures",
    "back slashes": "{allowed}\\..\\outside",
    "a link out": "{allowed}/link",
    "below a link out": "{allowed}/link/secret",
    "a deep link out": "{allowed}/pictures/deep",
    "a name that begins alike": "{allowed}-too",
    "relative": "pictures",
    "relative with ..": "../outside",
    "home": "~",
    "a NUL": "{allowed}/pic\0tures",
    "a NUL before ..": "{allowed}\0/../../outside",
    "a URL": "file:///etc",
    "a share": "\\\\server\\share",
    "a device": "/dev",
    "a process": "/proc/self/root",
    "no name in any encoding": "{allowed}/\ud800",
}
# An address below the app's, and the body that the path is put into.
FIELDS = {
    "browse": ("folders?path={path}", None),
    "open": ("open", {"path": "{path}"}),
    "shelves": ("plan", {"action": "copy", "destination": "{path}"}),
    "shelves within": ("plan", {"action": "copy", "shelf_path": "{label}/{path}"}),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("path", PATHS)
def test_paths_outside_of_the_allowed_folders_are_refused(
    served: Served, path: str, field: str
) -> None:
    app, address, root = served
    if field == "shelves":
        labelled(app, root / "allowed" / "pictures", ["red"])
    before, runs = tree(root), list(registry.all())
    given = PATHS[path].replace("{allowed}", str(root / "allowed"))
    given = given.replace("{outside}", str(root / "outside"))
    where, body = FIELDS[field]
    if body is None:
        where = where.replace("{path}", quote(given, errors="surrogatepass"))
    sent = None if body is None else {k: v.replace("{path}", given) for k, v in body.items()}
    status, told = call(address + where, sent)
    if field == "browse" and status == 200:  # what is no UTF-8 becomes another, missing name
        raise AssertionError(told)
    assert status in (400, 409), told
    assert "secret.png" not in json.dumps(told)
    assert tree(root) == before and list(registry.all()) == runs


@pytest.mark.parametrize("name", ["missing", "file.txt"])
def test_what_is_no_folder_is_refused(served: Served, name: str) -> None:
    _, address, root = served
    path = str(root / "allowed" / name)
    for where, body in (("open", {"path": path}), (f"folders?path={quote(path)}", None)):
        assert call(address + where, body)[0] == 409


def test_links_out_are_not_listed_and_their_pictures_not_read(served: Served) -> None:
    app, address, root = served
    _, told = call(f"{address}folders")
    assert [one["name"] for one in told["folders"]] == ["pictures"] and told["above"] is None
    labelled(app, root / "allowed", ["red"])
    assert app.folder is not None and app.folder.found is not None
    assert len(app.folder.found.pictures) == 2


def test_shelves_are_not_made_among_the_pictures(served: Served) -> None:
    app, address, root = served
    labelled(app, root / "allowed" / "pictures", ["red"])
    inside = {"action": "copy", "destination": str(root / "allowed")}
    assert call(f"{address}plan", inside)[0] == 409


HEADERS = {
    "a foreign name": {"Host": "evil.example"},
    "a foreign name and the port": {"Host": "evil.example:{port}"},
    "a name that begins alike": {"Host": "localhost.evil.example"},
    "another address": {"Host": "192.168.1.1:{port}"},
    "an address that is not closed": {"Host": "[::1"},
    "no name": {"Host": ":{port}"},
    "a foreign origin": {"Origin": "http://evil.example"},
    "an origin of another port": {"Origin": "http://127.0.0.1:1"},
    "an origin of a file": {"Origin": "null"},
    "a secure origin": {"Origin": "https://127.0.0.1:{port}"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another port of this machine": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.name in ("state", "quit")])
@pytest.mark.parametrize("given", HEADERS)
def test_other_pages_are_refused(
    served: Served, given: str, operation: operations.Operation
) -> None:
    _, address, _ = served
    port = str(urlsplit(address).port)
    headers = {name: value.replace("{port}", port) for name, value in HEADERS[given].items()}
    assert _status(address, operation, headers) in (400, 403)
    assert call(f"{address}state")[0] == 200  # it was not ended


TOKENS = ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), f"{TOKEN}%00", f"./{TOKEN}x"]


@pytest.mark.parametrize("token", TOKENS)
def test_every_address_needs_the_token(served: Served, token: str) -> None:
    _, address, _ = served
    base = address.removesuffix(f"{TOKEN}/") + (f"{token}/" if token else "")
    for operation in OPERATIONS:
        assert _status(base, operation, {}) == 403, operation
    for path in ("", "app.js", "review/20260101-000000-0000/"):
        assert call(base + path)[0] == 403


def _status(base: str, operation: operations.Operation, headers: dict[str, str]) -> int:
    split = urlsplit(base)
    connection = http.client.HTTPConnection(split.netloc)
    path = operation.path.replace("{id}", "x").replace("{digest}", "x").removeprefix("/")
    body = b"{}" if operation.method == "POST" else None
    connection.request(operation.method, split.path + path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


VALUES = {
    "a number for a path": ("open", {"path": 1}),
    "a list for a path": ("open", {"path": ["/"]}),
    "no path": ("open", {}),
    "an empty path": ("open", {"path": ""}),
    "a field too many": ("open", {"path": "/", "follow": True}),
    "a list for a body": ("open", ["/"]),
    "a path of a megabyte": ("open", {"path": "/" + "a" * 1_000_000}),
    "a list for labels": ("labels", {"labels": ["red"]}),
    "a number for words": ("labels", {"labels": {"red": 1}}),
    "numbers among words": ("labels", {"labels": {"red": [1]}}),
    "too many labels": ("labels", {"labels": {str(n): [] for n in range(201)}}),
    "a label that means other": ("labels", {"labels": {"other": []}}),
    "no such action": ("plan", {"action": "delete", "destination": ""}),
    "the trash": ("plan", {"action": "trash", "destination": ""}),
    "no such job": ("stop", {"kind": "model"}),
    "a negative number": ("cache/clear", {"days": -1}),
    "a broken number": ("cache/clear", {"days": 0.5}),
    "true for a number": ("cache/clear", {"days": True}),
    "a run by a path": ("runs/..%2f..%2fetc/apply", {}),
    "a run by the beginning of its id": ("runs/2026/apply", {}),
    "a run that is not there": ("runs/20260101-000000-0000/apply", {}),
    "an undo of what is not there": ("runs/20260101-000000-0000/undo", {}),
    "a model by a path": ("models/..%2fstarter/remove", {}),
    "a model of somebody": ("models/owner%2Fname/get", {"licence": "mit"}),
    "a model without its licence": ("models/siglip2-b-16/get", {"licence": ""}),
    "a model that is not there": ("models/siglip2-b-16/use", {}),
    "a model that came with the program": ("models/starter/remove", {}),
}


@pytest.mark.parametrize("case", VALUES)
def test_values_that_do_not_fit_are_refused(served: Served, case: str) -> None:
    app, address, root = served
    if case.endswith(("labels", "words", "other")):
        labelled(app, root / "allowed" / "pictures", ["red"])
    before = tree(root)
    path, body = VALUES[case]
    status, told = call(address + path, body)
    assert status in (400, 404, 409, 413), told
    assert tree(root) == before


@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[" * 50_000, b'{"path": NaN}', b"\xff\xfe"])
def test_what_is_no_json_is_refused(served: Served, raw: bytes) -> None:
    _, address, _ = served
    split = urlsplit(address)
    connection = http.client.HTTPConnection(split.netloc)
    connection.request("POST", f"{split.path}open", raw)
    assert connection.getresponse().status == 400
    connection.close()


def test_runs_elsewhere_are_listed_but_not_opened(served: Served) -> None:
    """A run of another folder, made with the command line, is not the app's to undo."""
    app, address, root = served
    labelled(app, root / "allowed" / "pictures", ["red"])
    app.plan({"action": "copy", "destination": ""})
    done(app, "plan")
    id = registry.find().id
    with serving(root / "outside") as (_, other):
        _, told = call(f"{other}runs")
        assert [one["may_open"] for one in told["runs"]] == [False]
        for where in (f"runs/{id}", f"review/{id}/"):
            assert call(other + where)[0] == 409
        for act in ("apply", "undo", "remove"):
            assert call(f"{other}runs/{id}/{act}", {})[0] == 409
    assert call(f"{address}runs/{id}")[0] == 200
    assert os.path.isdir(registry.find().record)


def test_thumbnails_of_other_folders_are_not_served(served: Served) -> None:
    app, address, root = served
    labelled(app, root / "allowed" / "pictures", ["red"])
    assert app.folder is not None and app.folder.run is not None
    digests = [one.hex() for one in app.folder.run.embeddings.digests]
    app.close_folder({})
    assert call(f"{address}thumbnail/{digests[0]}")[0] == 404
    assert call(f"{address}thumbnail/..%2f..%2fetc")[0] in (400, 404)


# --- the description ------------------------------------------------------------------------------


def test_the_description_and_the_addresses_agree(served: Served) -> None:
    app, address, _ = served
    _, told = call(f"{address}openapi.json")
    described = {(path, method.upper()) for path, ways in told["paths"].items() for method in ways}
    inner = make(app, TOKEN)._app
    routes = {
        (one.path, method)
        for one in inner.routes  # type: ignore[attr-defined]
        if isinstance(one, Route) and one.path not in ("/", "/app.js", "/app.css", "/icon.svg")
        for method in (one.methods or set()) - {"HEAD"}
    }
    assert described == routes
    for ways in told["paths"].values():
        for way in ways.values():
            assert way["summary"].endswith(".") and callable(getattr(app, way["operationId"]))


def test_every_get_answers(served: Served) -> None:
    """With an open folder and a run, each address that reads gives what its type says."""
    app, address, root = served
    labelled(app, root / "allowed" / "pictures", ["red"])
    app.plan({"action": "copy", "destination": ""})
    done(app, "plan")
    assert app.folder is not None and app.folder.run is not None
    digest = app.folder.run.embeddings.digests[0].hex()
    for one in OPERATIONS:
        if one.method == "GET" and one.name != "model_offer":  # that one asks the network
            path = one.path.replace("{digest}", digest).replace("{id}", registry.find().id)
            query = "?name=red" if one.name == "shelf" else ""
            status, told = call(f"{address}{path.removeprefix('/')}{query}")
            assert status == 200 and told, one.name


def test_a_body_without_a_length_is_refused(served: Served) -> None:
    """A chunked body may go on for ever, whatever is checked at its start."""
    _, address, _ = served
    where = urlsplit(address)
    connection = http.client.HTTPConnection(str(where.netloc), timeout=HANG)
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    body = iter([b'{"path": ', b'"x"}'])
    connection.request("POST", f"{where.path}open", body, headers, encode_chunked=True)
    assert connection.getresponse().status == 411
    connection.close()
