"""`zeroshelf search`: pictures of a folder, found by words or by a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zeroshelf.commands import options
from zeroshelf.commands.files import Told, finish, tally
from zeroshelf.commands.sort import show_skipped
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.index import Index
    from zeroshelf.records import Picture, Plan, PlanRequest, Skipped
    from zeroshelf.search.find import Hit
    from zeroshelf.search.query import Query

FITS = 0.5  # the probability of the best hit, below which the user is told that none seems to fit
LABELS = ("-l", "--label", "--labels")  # of `sort`, and no options here


class _Words(click.Command):
    """Takes "-people" for words to avoid, where it can't be a group of one-letter options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        letters = {name[1] for one in self.params for name in one.opts if len(name) == 2}
        taking = {
            name
            for one in self.params
            if isinstance(one, click.Option) and not one.is_flag
            for name in one.opts
        }
        found: list[str] = []
        for at, word in enumerate(args):
            if word == "--":
                found += args[at:]
                break
            if word in LABELS and (at == 0 or args[at - 1] not in taking):
                raise UserError(f"search takes words, not labels: leave {word} out")
            avoided = len(word) > 2 and word[0] == "-" != word[1] and not {*word[1:]} <= letters
            if avoided and (at == 0 or args[at - 1] not in taking):
                found += ["--without", word[1:]]
            else:
                found.append(word)
        return super().parse_args(ctx, found)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a search brought."""

    root: str  # the folder
    model: str  # its id
    hits: Sequence[Hit]
    pictures: Sequence[Picture]  # of the hits, with their companions
    skipped: tuple[Skipped, ...]


@click.command(cls=_Words)
@click.argument("words", nargs=-1, metavar="[WORDS]...")
@click.argument("folder", type=click.Path())
@click.option(
    "--without", multiple=True, metavar="WORDS", help="Pictures without this; also as -WORDS."
)
@click.option(
    "--like", multiple=True, type=click.Path(), metavar="PICTURE", help="Pictures like this one."
)
@click.option(
    "--top", type=click.IntRange(1), default=20, show_default=True, help="How many hits at most."
)
@click.option(
    "--least",
    type=options.Number(0, 1),
    metavar="P",
    help="The least probability that a hit fits the words. With 0.5, words that nothing fits bring "
    "nothing as a rule.",
)
@click.option("--all", "every", is_flag=True, help="Near-duplicates as hits of their own too.")
@click.option("--paths", is_flag=True, help="Print the hits' paths alone, one a line.")
@click.option("-0", "--null", is_flag=True, help="As --paths, with a NUL behind each path.")
@click.option("--open", "show", is_flag=True, help="Show the hits as pictures in the browser.")
@click.option("--to", type=click.Path(), help="Put the hits into a subfolder of this folder.")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["copy", "symlink"]),
    default="copy",
    show_default=True,
    help="With --to: copies or symbolic links.",
)
@click.option(
    "--no-scan",
    is_flag=True,
    help="Search what the cache knows of FOLDER, without looking for new and changed pictures.",
)
@options.modelling
@options.excluding
@options.yes
@options.showing
def command(screen: Screen, yes: bool, **given: Any) -> int:
    """Find the pictures below FOLDER that show WORDS.

    \b
      zeroshelf search "red car" Photos
      zeroshelf search dog +snow -people Photos        with snow, without people
      zeroshelf search dog 0.5:snow Photos             snow counts half
      zeroshelf search --like a.jpg Photos             pictures like this one
      zeroshelf search dog Photos --least 0.5 --paths  for other programs; nothing where none fits
      zeroshelf search dog Photos --to Found           copies in Found/dog; `zeroshelf undo`

    A word that is the path of a picture stands for that picture. New and changed pictures are
    embedded first. Nothing is changed but with --to, and then only after a yes.
    """
    query = _query(given)
    paths = given["paths"] or given["null"]
    if paths and screen.as_json:
        raise UserError("--paths and --json are two forms of one output: choose one")
    if paths and given["to"]:
        raise UserError("--paths prints and --to copies: give one of the two")
    wanted = _request(query, given, yes, screen)
    found = _search(query, wanted, given, screen)
    if given["show"]:
        _open(query, found, screen)
    if paths:
        screen.paths([hit.path for hit in found.hits], null=given["null"])
        _complain_of_skipped(found, screen)
    else:
        _show(query, found, given["least"], screen)
    result: dict[str, Any] = {
        "hits": [_as_json(hit) for hit in found.hits],
        "query": str(query),
        "folder": found.root,
        "model": found.model,
        "skipped": len(found.skipped),
    }
    code = 1 if found.skipped else 0
    if wanted is not None:
        done, more = _apply(wanted, query, found, yes, screen)
        code, result = code or done, result | more
    screen.data(result)
    return code


def _query(given: dict[str, Any]) -> Query:
    """The query of WORDS, --without and --like."""
    from zeroshelf.images import formats
    from zeroshelf.search import query

    words: list[str] = []
    pictures: list[str] = [*given["like"]]
    for written in (*given["words"], *(f"-{word}" for word in given["without"])):
        path = written if os.path.isfile(written) else query.parse(written).terms[0].text
        is_picture = os.path.splitext(path)[1].lower() in formats.PICTURE_SUFFIXES
        (pictures if is_picture and os.path.isfile(path) else words).append(written)
    return query.parse(words or None, pictures or None)


def _request(query: Query, given: dict[str, Any], yes: bool, screen: Screen) -> PlanRequest | None:
    """What --to and --as ask for, checked before any picture is read; None without --to."""
    if given["to"] is None:
        if click.get_current_context().get_parameter_source("kind") is ParameterSource.COMMANDLINE:
            raise UserError("--as needs --to, the folder for the pictures: add it")
        return None
    from zeroshelf.actions import plan_request
    from zeroshelf.images.scan import root_of
    from zeroshelf.records import Label, LabelSet, PlanRequest

    options.check_confirmable(yes)
    options.check_homes(screen)
    wanted = PlanRequest(root_of(given["folder"]), given["to"], given["kind"], replace=False)
    return plan_request.checked(wanted, LabelSet((Label(query.name),)))


def _search(
    query: Query, wanted: PlanRequest | None, given: dict[str, Any], screen: Screen
) -> _Found:
    from zeroshelf.index import index

    limits = {"top": given["top"], "least": given["least"], "fold": not given["every"]}
    limits["judge"] = not (given["paths"] or given["null"])  # paths alone tell no probability
    if given["no_scan"]:
        return _search_cache(query, limits, given, screen)
    leave_out = [] if wanted is None else [wanted.destination or ""]
    with screen.progress() as progress:
        made: Index = index(
            given["folder"],
            model=given["model"],
            device=given["device"],
            exclude=given["exclude"],
            leave_out=leave_out,
            progress=progress,
            warn=screen.warn,
        )
        hits = made.searcher.search(query, **limits)
    pictures = [made.embeddings.pictures[hit.row] for hit in hits]
    return _Found(made.folder, made.model.id, hits, pictures, made.skipped)


def _search_cache(
    query: Query, limits: dict[str, Any], given: dict[str, Any], screen: Screen
) -> _Found:
    from zeroshelf.embeddings.cache import EmbeddingCache
    from zeroshelf.images.scan import root_of
    from zeroshelf.images.scan_files import scan_files
    from zeroshelf.models import select
    from zeroshelf.search.find import Searcher
    from zeroshelf.search.sources import InCache

    root = root_of(given["folder"])
    if given["exclude"]:
        raise UserError("--exclude looks at the folder and --no-scan doesn't: give one of the two")
    encoder = select.load(select.find(given["model"]), given["device"], warn=screen.warn)
    with EmbeddingCache.open() as store, screen.progress() as progress:
        source = InCache(store, encoder.model, root)
        searcher = Searcher(
            source,
            encoder,
            store,
            lambda: select.calibration(encoder.model),
            progress=progress,
        )
        hits = searcher.search(query, **limits)
    if not len(source):
        raise UserError(f"the cache knows no picture in {root}: leave --no-scan out once")
    known = (
        {one.path: one for one in scan_files([hit.path for hit in hits]).pictures} if hits else {}
    )
    hits = [hit for hit in hits if hit.path in known]
    return _Found(root, encoder.model.id, hits, [known[hit.path] for hit in hits], ())


def _show(query: Query, found: _Found, least: float | None, screen: Screen) -> None:
    chances = [hit.probability for hit in found.hits if hit.probability is not None]
    if found.hits and not screen.as_json:
        screen.table(
            ("fits", "score", "picture"),
            [
                (
                    "" if hit.probability is None else f"{100 * hit.probability:.0f} %",
                    f"{hit.score:.3f}",
                    os.path.relpath(hit.path, found.root) + _more(hit),
                )
                for hit in found.hits
            ],
            whole=("picture",),
        )
    elif not found.hits:
        enough = "" if least is None else f" with a probability of {least:g}"
        screen.say(f"Nothing in {found.root} fits {query}{enough}.")
    if chances and max(chances) < FITS and least is None:
        screen.say(f"Perhaps none of these fits {query}: --least {FITS} shows only what does.")
    _complain_of_skipped(found, screen)


def _more(hit: Hit) -> str:
    count = len(hit.near_duplicates)
    return f"  (+ {counted(count, 'near-duplicate')})" if count else ""


def _complain_of_skipped(found: _Found, screen: Screen) -> None:
    show_skipped(screen, found.skipped, found.root)


def _as_json(hit: Hit) -> dict[str, Any]:
    return {
        "path": hit.path,
        "score": hit.score,
        "probability": hit.probability,
        "near_duplicates": list(hit.near_duplicates),
    }


def _open(query: Query, found: _Found, screen: Screen) -> None:
    """Write a page with the hits as pictures, and show it in the browser."""
    import tempfile
    from pathlib import Path

    from zeroshelf.embeddings.cache import EmbeddingCache
    from zeroshelf.output.hits import Hits

    with EmbeddingCache.open() as store:
        page = Hits(query, tuple(found.hits), store).page()
    descriptor, path = tempfile.mkstemp(prefix="zeroshelf-search-", suffix=".html")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(page)
    screen.warn(f"the hits as pictures: {path}")
    click.launch(Path(path).as_uri())


def _apply(
    wanted: PlanRequest, query: Query, found: _Found, yes: bool, screen: Screen
) -> tuple[int, dict[str, Any]]:
    """Plan, ask and carry out; the exit code, and what --json tells of it."""
    from zeroshelf.actions import apply, kinds, plan
    from zeroshelf.runs import registry

    placed = zip(found.pictures, found.hits, strict=True)
    planned: Plan = plan.make(
        wanted, [(picture, query.name, hit.digest) for picture, hit in placed]
    )
    for note in planned.notes:
        screen.warn(note)
    if not planned.actions:
        screen.say("Nothing to do: no file would change.")
        return 0, {"run": None, "record": None, "counts": {}, "trouble": []}
    kind = kinds.of(planned.kind)
    name, record = registry.new(planned)
    files = counted(len(planned.actions), "file")
    if not options.confirmed(screen, yes, kind.confirmation(files, planned)):
        screen.say(f"{options.DECLINED} `zeroshelf apply {name}` carries out the plan later.")
        return 0, {"run": name, "record": record, "counts": {}, "trouble": []}
    told = Told()
    with screen.progress() as progress:
        apply.carry_out(record, told.take, progress)
    code = finish(screen, told, done=kind.report(planned))
    screen.say(f"`zeroshelf undo {name}` puts everything back.")
    return code, {"run": name, "record": record, **tally(told)}
