"""Models brought from a hub, checked and removed.

A model is put together in `.partial/` and appears under its name only when it is complete and has
given embeddings.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from zeroshelf.errors import UserError
from zeroshelf.models import catalogue, fetch, golden, graph, int8, select
from zeroshelf.models.families import TRANSFORMERS_GRAPHS
from zeroshelf.models.fetch import Remote, RemoteFile
from zeroshelf.models.golden import Comparison
from zeroshelf.models.installed import RECORD, folder_of, partial_of, place_of, record, writing
from zeroshelf.models.int8 import Precision
from zeroshelf.models.ort import Warn
from zeroshelf.records import Progress
from zeroshelf.system.file_versions import INSTALLED_MODEL

TEXT_FILES = (".json", ".txt", ".gz", ".model")
LEGAL = ("license", "licence", "notice", "readme", "third_party")


@dataclass(frozen=True, slots=True)
class Offer:
    """What `install` would bring, to be shown before it does."""

    id: str
    remote: Remote
    files: tuple[RemoteFile, ...]  # without those that only the graph names
    licence: str
    row: catalogue.Row | None  # None: not in the catalogue
    int8: RemoteFile | None = None  # the image tower that may take the place of float32's

    @property
    def size(self) -> int:
        return sum(file.size for file in (*self.files, *([self.int8] if self.int8 else ())))

    @property
    def visual(self) -> RemoteFile:
        """The image tower's graph."""
        return next(file for file in self.files if file.path.endswith(".onnx"))


@contextmanager
def _kept_if_usable(partial: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        shutil.rmtree(partial)
        raise


def offer(name: str, revision: str | None = None, precision: Precision | None = None) -> Offer:
    """Ask the hub for a model: a catalogue id, or any repository as "owner/name".

    precision: of its image tower; None: int8 where the hub has it and it agrees with float32 on a
        machine without a GPU (int8.py), else the best there is.

    Raises `UserError` where the hub has no such model.
    """
    row = catalogue.by_source(name)
    if row and not row.repo:
        images = f" --images {row.images}" if row.images else ""
        raise UserError(
            f"{row.id} is published for torch only; with zeroshelf[export] installed: "
            f"zeroshelf models export {row.export}{images} --to {row.id}"
        )
    repo = row.repo if row and row.repo else name
    if not row and name.count("/") != 1:
        known = ", ".join(catalogue.rows())
        raise UserError(f"no model {name!r}: name a hub's owner/name, or one of {known}")
    remote = fetch.look(repo, revision or (row.revision if row else None))
    files = _choose(remote, row.folder if row else "", precision)
    made = Offer(
        row.id if row else name, remote, files, row.licence if row else remote.licence, row
    )
    if precision is not None:
        return made
    by_path = {file.path: file for file in remote.files}
    small = int8.beside(made.visual.path, by_path)
    return made if small is None else replace(made, int8=by_path[small])


@writing()
def install(offer: Offer, say: Callable[[str], None] = lambda line: None) -> Path:
    """Bring the files, check them, let the model speak once, and only then give it its name.

    The settings come first: they tell of many a model that it can't be used, and cost nothing.
    """
    target = folder_of(offer.id)
    if target.exists():
        raise UserError(_already(offer, target))
    partial = partial_of(offer.id)
    graphs = [file for file in offer.files if file.path.endswith(".onnx")]
    settings = [file for file in offer.files if file not in graphs]
    fetch.download(offer.remote, settings, partial)
    with _kept_if_usable(partial):
        select.describe(offer.id, partial, coming={partial / file.path for file in graphs})
    fetch.download(offer.remote, graphs, partial)  # what is cut off here goes on next time
    with _kept_if_usable(partial):
        beside = tuple(_beside(offer, partial))
    small = _int8(offer, partial)
    fetch.download(offer.remote, [*beside, *([small] if small else ())], partial)
    say("checking")
    with _kept_if_usable(partial):
        left_out = None if small is None else _left_out(offer, small, partial, say)
        paths = [file.path for file in (*offer.files, *beside)]
        if left_out == offer.visual.path and offer.int8:
            paths = [offer.int8.path, *(path for path in paths if path != left_out)]
        _finish(offer, partial, paths)
    partial.rename(target)
    return target


def _int8(offer: Offer, folder: Path) -> RemoteFile | None:
    """The int8 image tower that is offered. None where none is, or where a tower's weights lie in
    other files: both may use these."""
    if offer.int8 is None or graph.external_files(folder / offer.visual.path):
        return None
    return offer.int8


def _left_out(offer: Offer, small: RemoteFile, folder: Path, say: Callable[[str], None]) -> str:
    """Remove the int8 image tower `small` or float32's: the path of the one that was removed."""
    model = select.describe(offer.id, folder)
    visual = offer.visual.path
    taken = int8.takes_its_place(model, folder / visual, folder / small.path, say)
    left_out = visual if taken else small.path
    (folder / left_out).unlink()
    return left_out


def _already(offer: Offer, folder: Path) -> str:
    """What is to be said where the model is here: is it what the hub has?"""
    here = record(folder)
    for file in offer.files:
        if offer.int8 and file == offer.visual and offer.int8.path in here["sha256"]:
            continue  # int8 took its place
        if file.sha256 and here["sha256"].get(file.path) != file.sha256:
            return (
                f"{offer.id} is installed at {str(here['revision'])[:12]}, and the hub's "
                f"{file.path} at {offer.remote.revision[:12]} is another file; to change over, "
                f"`zeroshelf models remove {offer.id}` and get it again"
            )
    return f"{offer.id} is installed already, with the hub's own checksums ({folder})"


def _finish(offer: Offer, folder: Path, paths: Sequence[str]) -> None:
    """The record, and a first embedding of the golden dozen, kept for `verify`."""
    sums = {path: fetch.sha256(folder / path) for path in paths}
    for path, known in (offer.row.sha256 if offer.row else {}).items():
        if sums.get(path, known) != known:
            raise UserError(f"{offer.id}: {path} is not the file of the catalogue; refused")
    facts = {
        **INSTALLED_MODEL.header,
        "id": offer.id,
        "repo": offer.remote.repo,
        "revision": offer.remote.revision,
        "settings": {"licence": offer.licence} | (offer.row.settings if offer.row else {}),
        "sha256": sums,
    }
    (folder / RECORD).write_text(json.dumps(facts, indent=2), encoding="utf-8")
    encoder = select.load(select.describe(offer.id, folder), device="cpu")
    golden.save(folder, *golden.embed(encoder))


def adopt(folder: Path) -> str:
    """Make an installed model of a finished folder in `home()`; its id is the folder's name."""
    paths = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    sums = {path: fetch.sha256(folder / path) for path in sorted(paths)}
    facts = INSTALLED_MODEL.header | {
        "id": folder.name,
        "repo": None,
        "revision": None,
        "settings": {},
        "sha256": sums,
    }
    (folder / RECORD).write_text(json.dumps(facts, indent=2), encoding="utf-8")
    return folder.name


@writing()
def remove(id: str) -> Path:
    """Delete an installed model, or what a cut download left of one, and nothing else."""
    folder, hidden = place_of(id), partial_of(id)
    if folder != hidden:
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.parent.mkdir(exist_ok=True)
        folder.rename(hidden)  # at once: a removal that is stopped leaves no half of a model
    shutil.rmtree(hidden)
    return folder


def verify(
    id: str,
    folder: Path,
    device: str | None = "cpu",
    warn: Warn | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> tuple[Comparison, Comparison] | None:
    """Check sums and golden embeddings. None: it has none to compare with.

    Raises `UserError` naming the first file that isn't what was installed.
    """
    sums = record(folder).get("sha256", {})
    for done, (path, sum_) in enumerate(sums.items()):
        progress("checking", done, len(sums) + 1)  # of a large model some seconds each
        if not (folder / path).is_file() or fetch.sha256(folder / path) != sum_:
            raise UserError(f"{id}: {path} is missing or changed; remove it and get it again")
    if not (folder / golden.FILE).is_file():
        return None
    progress("checking", len(sums), len(sums) + 1)
    return golden.compare_to_saved(
        select.load(select.describe(id, folder), device, warn=warn), folder
    )


def _choose(
    remote: Remote, part: str, precision: Precision | None = None
) -> tuple[RemoteFile, ...]:
    """The files of a repository that are the model: one pair of graphs, the image tower's first,
    settings, legal texts."""
    files = {file.path: file for file in remote.files}
    prefix = f"{part}/" if part else ""
    plain = precision in (None, "fp32")  # other layouts say of no precision
    pairs = [("visual/model.onnx", "textual/model.onnx")] if plain else []
    for place in ("onnx/", ""):
        for s in TRANSFORMERS_GRAPHS if precision is None else int8.SUFFIXES[precision]:
            texts = ("", s) if precision == "int8" else (s,)
            pairs += [(f"{place}vision_model{s}.onnx", f"{place}text_model{t}.onnx") for t in texts]
    pairs += [(f"{prefix}visual.onnx", f"{prefix}textual.onnx")] if plain else []
    graphs = next((pair for pair in pairs if set(pair) <= files.keys()), None)
    if graphs is None and precision is not None:
        raise UserError(f"{remote.repo} has no graphs in {precision}: leave --precision out")
    if graphs is None:
        pickles = [path for path in files if path.endswith(fetch.PICKLES)]
        found = f"but {pickles[0]}, a pickle, which zeroshelf never opens" if pickles else ""
        raise UserError(
            f"{remote.repo} has no pair of ONNX towers {found or 'in a known layout'}; "
            "`zeroshelf models export` converts checkpoints in .safetensors"
        )
    homes = {str(PurePosixPath(path).parent) for path in graphs} | {".", "tokenizer"}
    if part:
        homes -= {"."}
    kept = [files[path] for path in graphs]
    for file in remote.files:
        name = PurePosixPath(file.path).name.lower()
        here = str(PurePosixPath(file.path).parent) in homes and name.endswith(TEXT_FILES)
        if here or name.startswith(LEGAL):
            kept.append(file)
    return tuple(kept)


def _beside(offer: Offer, folder: Path) -> Iterator[RemoteFile]:
    """The files in which the graphs keep their weights: the graphs know which."""
    files = {file.path: file for file in offer.remote.files}
    for file in offer.files:
        if not file.path.endswith(".onnx"):
            continue
        for name in graph.external_files(folder / file.path):
            path = str(PurePosixPath(file.path).parent / name)
            if not fetch.is_inside(name) or path not in files:
                raise UserError(
                    f"{offer.id}: {file.path} refers to weights in {name!r}, no file of it"
                )
            yield files[path]
