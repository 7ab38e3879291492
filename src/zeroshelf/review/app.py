"""Web addresses -> the session. Each address returns one thing or takes edits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from importlib import resources
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from zeroshelf.actions import kinds
from zeroshelf.decisions import constants
from zeroshelf.errors import Unreadable, UserError
from zeroshelf.images import decode, ignored, thumbnails
from zeroshelf.review import alike, consequences, edit_requests, one_picture, suggestions
from zeroshelf.review.access import AccessCheck
from zeroshelf.review.jobs import Jobs
from zeroshelf.review.notes import PutAway
from zeroshelf.review.photo_filter import PhotoFilter
from zeroshelf.review.session import Session
from zeroshelf.run.run import Run
from zeroshelf.search import query
from zeroshelf.search.find import Searcher

_SCRIPTS = (
    "review", "state", "words", "grid", "shelves", "detail", "panels", "notes", "suggestions",
    "filters", "compare",
)  # fmt: skip
FILES = {  # everything of the page; no address is ever made into a path
    "": ("index.html", "text/html"),
    "review.css": ("review.css", "text/css"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"{name}.js": (f"{name}.js", "text/javascript") for name in _SCRIPTS},
}
LARGE = 1600  # pixels of the longer side in the large view
FITS = 0.25  # least probability of a picture that a search by words brings
_KEEP = {"Cache-Control": "private, max-age=86400, immutable"}  # the token makes addresses new


def make(session: Session, jobs: Jobs, token: str) -> AccessCheck:
    return AccessCheck(page(session, jobs), token)


def page(session: Session, jobs: Jobs, worded: Callable[[str], str] = str) -> Starlette:
    """The page without its access check: for the app, which has one for all of its pages.

    worded: a note of the run -> as it is shown.
    """
    return _Page(session, jobs, worded).app()


class _Page:
    def __init__(self, session: Session, jobs: Jobs, worded: Callable[[str], str]) -> None:
        self.session = session
        self.jobs = jobs
        self.worded = worded
        self.suggested = suggestions.Suggestions(0, 0, ())
        self.put_away = PutAway(session.record)
        self.photo_filter = PhotoFilter(session)
        self.known = self._known()
        self._searcher: tuple[Run, Searcher] | None = None  # what searches the run, once asked for

    def app(self) -> Starlette:
        def get(path: str, answer: Callable[..., Any]) -> Route:
            return Route(path, answer, methods=["GET"])

        return Starlette(
            routes=[
                *(get(f"/{name}", self._file(*which)) for name, which in FILES.items()),
                get("/pictures", self.names),
                get("/columns", self.columns),
                get("/state", self.state),
                get("/changes", self.changes),
                get("/thumbnail/{row:int}", self.thumbnail),
                get("/picture/{row:int}", self.picture),
                get("/about/{row:int}", self.about),
                get("/photo-facts", self.photo_facts),
                get("/alike/{row:int}", self.alike),
                get("/consequences", self.consequences),
                get("/search", self.search),
                get("/offset", self.offset),
                get("/suggestions", self.suggestions),
                get("/words", self.words),
                get("/most-informative", self.most_informative),
                Route("/edit", self.edit, methods=["POST"]),
            ],
            exception_handlers={
                UserError: _refused,
                KeyError: _malformed,
                ValueError: _malformed,
                RecursionError: _malformed,  # a list in a list in a list ...
            },
        )

    @staticmethod
    def _file(name: str, kind: str) -> Callable[[Request], Response]:
        content = (resources.files("zeroshelf") / "data" / "review" / name).read_bytes()
        return lambda _: Response(content, media_type=kind)

    # --- what is there ----------------------------------------------------------------------

    def names(self, _: Request) -> Response:
        return Response(self.known, media_type="application/json")

    def _known(self) -> bytes:
        """What never changes: names, stacks, the run's facts; made before the first page asks."""
        stacks = _stacks(self.session)
        known = {"paths": self.session.paths, "stacks": stacks, "facts": self._facts()}
        return bytes(_ascii(known).body)

    def columns(self, _: Request) -> Response:
        """N and the version, then per picture the shelf (16 bits), P in 1/255 and who chose it."""
        with self.session.lock:
            now, version = self.session.shelves, self.session.version
        head = np.array((len(self.session), version), np.uint32)
        parts = (head, now.columns, _bytes(now.probabilities), now.by)
        return Response(
            b"".join(part.tobytes() for part in parts), media_type="application/octet-stream"
        )

    def state(self, request: Request) -> Response:
        since = int(request.query_params.get("since", -1))
        with self.session.lock:
            now, edited = self.session.shelves, self.session.edited
            rows = self.session.changed_since(since)
            known = {
                "version": self.session.version,
                "shelves": list(now.names),
                "words": [[*label.words, *label.prompts] for label in edited.labels],
                "offset": edited.offset,
                "closed": self.session.closed,
                "edits": self.session.edit_count,
                "corrections": len(edited.corrected),
                "undoable": edited.last is not None,
                "put_away": self.put_away.notes,
                "kind": self.session.planned.kind,
                "progress": asdict(self.jobs.progress),
                "making": self.session.made.making,
                "changed": None
                if rows is None
                else {
                    "rows": rows.tolist(),
                    "columns": now.columns[rows].tolist(),
                    "probabilities": _bytes(now.probabilities[rows]).tolist(),
                    "by": now.by[rows].tolist(),
                },
            }
        return _ascii(known)

    def changes(self, request: Request) -> Response:
        """An event whenever the state has changed, so that two tabs stay the same.

        The progress is compared by identity, and that of making the run by how often it was told:
        an apply and its undo between two looks end where they began, and a page that saw the middle
        must hear of the end.
        """

        async def lines() -> AsyncIterator[str]:
            version, progress, told = -1, None, -1
            while not await request.is_disconnected():
                now = self.session.version, self.jobs.progress, self.session.made.told
                if now[0] != version or now[1] is not progress or now[2] != told:
                    version, progress, told = now
                    yield f"data: {version}\n\n"
                await asyncio.sleep(0.1)

        return StreamingResponse(lines(), media_type="text/event-stream")

    # --- pictures ---------------------------------------------------------------------------

    def thumbnail(self, request: Request) -> Response:
        digest = self.session.first.digests(self._row(request)).hex()
        jpeg = self.session.first.thumbnails([digest]).get(digest)
        if jpeg is None:
            return PlainTextResponse("no thumbnail\n", 404)
        return Response(jpeg, media_type="image/jpeg", headers=_KEEP)

    def picture(self, request: Request) -> Response:
        """Encoded anew: browsers don't read HEIC, and never get the file's own bytes."""
        try:
            decoded = decode.decode(decode.read(self._file_of(request)), LARGE // 4)
        except Unreadable as trouble:
            return PlainTextResponse(f"{trouble}\n", 404)
        large = thumbnails.jpeg(thumbnails.shrink(decoded.image, LARGE))
        return Response(large, media_type="image/jpeg", headers=_KEEP)

    def about(self, request: Request) -> Response:
        return _ascii(one_picture.about(self.session, self._row(request)))

    def photo_facts(self, _: Request) -> Response:
        return _ascii(self.photo_filter.table())

    def alike(self, request: Request) -> Response:
        return _ascii(alike.group(self.session, self._row(request)))

    def consequences(self, request: Request) -> Response:
        kind = request.query_params.get("kind", "")
        self.jobs.check_possible(kind)
        return _ascii(consequences.of(self.session, kind))

    # --- search, suggestions ----------------------------------------------------------------

    def search(self, request: Request) -> Response:
        """The pictures that may show some words, the nearest first: "dog +snow -people"."""
        words = query.split(request.query_params["words"])
        if not words:
            raise UserError("type some words to look for")
        run = self.session.run
        if self._searcher is None or self._searcher[0] is not run:
            self._searcher = run, run.searcher()
        searcher = self._searcher[1]
        hits = searcher.search(query.parse(words), least=FITS, fold=False)
        return _ascii({"rows": [hit.row for hit in hits]})

    def offset(self, request: Request) -> Response:
        return _ascii(suggestions.preview_offset(self.session, float(request.query_params["by"])))

    def suggestions(self, _: Request) -> Response:
        self.suggested = found = suggestions.find(self.session)
        moves = [
            {"shelf": move.shelf, "to": move.to, "count": len(move.rows), "rows": move.rows}
            for move in found.moves
        ]
        return _ascii({"version": found.version, "corrections": found.corrections, "moves": moves})

    def words(self, _: Request) -> Response:
        found = suggestions.words_to_add(self.session)
        return _ascii([{"label": o.label, "words": o.words, "rows": o.rows} for o in found])

    def most_informative(self, request: Request) -> Response:
        count = min(200, max(1, int(request.query_params.get("count", 20))))
        return _ascii({"rows": suggestions.most_informative(self.session, count)})

    # --- edits ------------------------------------------------------------------------------

    async def edit(self, request: Request) -> Response:
        given = json.loads(await request.body())
        return await run_in_threadpool(self._edit, given)

    def _edit(self, given: Any) -> Response:
        """Answered only when the edit is on disk."""
        session = self.session
        moved, answer = 0, {}
        match given:
            case {"do": "place"}:
                session.place(*edit_requests.placement(given))
            case [_, *_]:  # keys that were pressed fast, in their order
                session.place_each(map(edit_requests.placement, given))
            case {"do": "undo"}:
                moved = int(session.undo())
            case {"do": "offset", "by": by} if type(by) in (int, float):
                session.set_offset(by)
            case {"label": str()}:
                moved = edit_requests.edit_label(session, given)
            case {"do": "accept", "version": version, "moves": [*moves]}:
                wanted, without = edit_requests.accepted(moves, given)
                if version != self.suggested.version:
                    raise UserError("the shelves have changed since: look at the suggestions again")
                moved = suggestions.accept(session, self.suggested, wanted, without)
            case {"do": "keep", "row": int(kept), "others": [*others], "shelf": str(shelf)}:
                edit_requests.numbers([kept, *others])
                moved, stay = alike.keep(session, kept, others, shelf)
                answer["stay"] = stay
            case {"do": "put-away", "notes": [*some]}:
                self.put_away.add(edit_requests.texts(some))
            case {"do": "apply" | "unapply" as act}:
                kind = given.get("kind")
                self.jobs.apply(kind) if act == "apply" else self.jobs.undo()
            case _:
                raise ValueError("no such edit")
        told = {"version": session.version, "edits": session.edit_count, "moved": moved}
        return _ascii(told | answer)

    # --- inside -----------------------------------------------------------------------------

    def _row(self, request: Request) -> int:
        row = int(request.path_params["row"])
        if row >= len(self.session):
            raise UserError("there is no such picture in this run")
        return row

    def _file_of(self, request: Request) -> str:
        return one_picture.place(self.session, self._row(request))

    def _facts(self) -> dict[str, Any]:
        run = self.session.first
        notes = (*self.session.made.notes, *ignored.lines(run.ignored))
        return {
            "run": run.id,
            "folder": run.request.folder,
            "destination": self.session.planned.destination,
            "actions": [_words(name, self.session) for name in self.session.possible_actions],
            "model": run.model.id,
            "notes": [self.worded(one) for one in notes],
            "skipped": [[skipped.path, skipped.reason] for skipped in run.skipped],
            "sure": constants.SURE,
            "likely": constants.LIKELY,
        }


def _words(name: str, session: Session) -> dict[str, str]:
    """An action as the page offers it."""
    kind = kinds.of(name)
    there = session.first_plan.destination if kind.needs_destination else session.root
    return {
        "name": name,
        "to": there,
        "choice": kind.choice,
        "meaning": kind.meaning,
        "place": kind.place,
        "undo": kind.undo_hint(),
    }


def _stacks(session: Session) -> list[int]:
    """Two numbers for each picture that lies in a stack: its row, and the first row that shows
    nearly the same. That first one is left out."""
    found: list[int] = []
    for rows in session.first.near_duplicates:
        first = min(rows)
        for row in rows:
            if row != first:
                found += (row, first)
    return found


def _bytes(probabilities: Any) -> Any:
    return np.round(np.asarray(probabilities) * 255).astype(np.uint8)


def _ascii(answer: Any) -> Response:
    """Names that are no UTF-8 hold lone surrogates, which JSON in ASCII keeps."""
    return Response(json.dumps(answer), media_type="application/json")


def _refused(_: Request, trouble: Exception) -> Response:
    return JSONResponse({"error": str(trouble)}, 409)


def _malformed(_: Request, trouble: Exception) -> Response:
    return JSONResponse({"error": f"not understood: {trouble}"}, 400)
