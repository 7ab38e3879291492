"""`zeroshelf models`: what is here, what could be, and how to get it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zeroshelf.commands import options
from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError
from zeroshelf.system import app_folders

if TYPE_CHECKING:
    from zeroshelf.records import OpenSet


@click.group(invoke_without_command=True)
@options.showing
@click.pass_context
def group(context: click.Context, screen: Screen) -> None:
    """List, get, show, verify, calibrate, remove and export models.

    \b
      zeroshelf models                    what there is: accuracy, size, languages, licence
      zeroshelf models get siglip2-b-16   download one; nothing is ever downloaded unasked
      zeroshelf sort Photos --model siglip2-b-16 ...
    """
    if context.invoked_subcommand is None:
        _list(screen)


@group.command("list")
@options.showing
def list_(screen: Screen) -> None:
    """List the models of the catalogue, and those that are installed or partly downloaded."""
    _list(screen)


def _list(screen: Screen) -> None:
    from zeroshelf.models import catalogue, installed, select
    from zeroshelf.models.layout import read_json

    here = installed.ids()
    speed = select.gflops()
    rows: list[list[str | int]] = []
    for id, folder in select.starters().items():
        languages = read_json(folder / "config.json")["languages"]
        size = sum(file.stat().st_size for file in folder.rglob("*.onnx")) // 1_000_000
        rows.append([id, "yes", "", size, "", _spoken(languages), "MIT"])
    for row in catalogue.rows().values():
        rate = catalogue.pictures_per_second(row, speed)
        rows.append(
            [
                row.id,
                "yes" if row.id in here else ("export" if row.export else ""),
                f"{row.top1:.1f}" if row.top1 else "",
                row.mb,
                f"{rate:.1f}" if rate < 10 else f"{rate:.0f}",
                _spoken(row.languages),
                row.licence,
            ]
        )
    rows += [[id, "yes", "", 0, "", "", ""] for id in here if id not in catalogue.rows()]
    screen.table(["id", "here", "ImageNet", "MB", "about/s", "speaks", "licence"], rows)
    begun = installed.begun()
    for id, size in begun.items():
        screen.say(
            f"Of {id} {size / 1e6:,.0f} MB are here: `zeroshelf models get {id}` resumes, "
            f"`zeroshelf models remove {id}` frees the space"
        )
    best = catalogue.recommend(speed, select.memory_mb(), installed=here)
    if best:
        screen.say(f"For this machine: zeroshelf models get {best.id}")
    default = app_folders.variable("ZEROSHELF_MODEL") or select.best_installed() or "starter"
    screen.say(f"Used where --model names none: {default}")
    screen.data(
        {
            "default": default,
            "recommended": best.id if best else None,
            "installed": list(here),
            "begun": begun,  # bytes of each
            "starters": list(select.starters()),
            "models": [
                {
                    "id": row.id, "name": row.name, "installed": row.id in here, "top1": row.top1,
                    "mb": row.mb, "parameters_millions": row.params, "licence": row.licence,
                    "languages": list(row.languages), "repo": row.repo, "export": row.export,
                    "pictures_per_second": catalogue.pictures_per_second(row, speed),
                    "memory_mb": catalogue.memory_mb(row),
                }
                for row in catalogue.rows().values()
            ],
        }
    )  # fmt: skip


def _spoken(languages: Sequence[str]) -> str:
    return ", ".join(languages) if len(languages) < 4 else "many"


@group.command()
@click.argument("id")
@click.option("--revision", help="A commit or tag of the repository; the newest by default.")
@options.showing
def get(screen: Screen, id: str, revision: str | None) -> None:
    """Download a model from a hub: a catalogue id, or OWNER/NAME of any repository."""
    from zeroshelf.models import installed, select

    if id in (*select.starters(), select.MULTILINGUAL):
        model = select.find(id)
        screen.say(f"{id} is here already: it came with its package ({model.folder})")
        screen.data({"id": id, "folder": str(model.folder), "licence": model.licence})
        return
    offer = installed.offer(id, revision)
    screen.say(
        f"{offer.id}: {offer.size / 1e6:,.0f} MB from {offer.remote.repo} at "
        f"{offer.remote.revision[:12]}"
    )
    screen.say(f"licence: {offer.licence}")
    if offer.row is None:
        screen.warn(f"{id} is not in the catalogue: its accuracy is not known here")
    elif offer.row.note:
        screen.warn(offer.row.note)
    folder = installed.install(offer, screen.say)
    screen.say(f"installed: zeroshelf sort FOLDER --model {offer.id} ...")
    screen.data({"id": offer.id, "folder": str(folder), "licence": offer.licence})


@group.command()
@click.argument("id", required=False)
@options.showing
def show(screen: Screen, id: str | None) -> None:
    """Show everything that is known about a model; without ID, about the one that would be used."""
    from zeroshelf.models import catalogue, installed, select

    row = catalogue.by_source(id) if id else None
    try:
        model = select.find(id)
    except UserError:
        if row is None:
            raise
        facts: dict[str, Any] = {"id": row.id, "installed": "no"} | _facts(row)
    else:
        facts = {
            "id": model.id,
            "folder": str(model.folder),
            "licence": model.licence,
            "languages": " ".join(model.languages) or "not stated",
            "dimensions": model.dim,
            "picture": f"{model.preprocessing.size} px, {model.preprocessing.resize_mode}, "
            f"{model.preprocessing.interpolation}",
            "text": f"{model.context_length} tokens",
            "logits": f"{model.logit_scale:g} x cosine"
            + (f" {model.logit_bias:+g}" if model.logit_bias is not None else "")
            + f", {model.activation}",
            "other": _constants(model.open_set),
            "device": select.load(model, warn=screen.warn).open().upper(),
            "digest": model.digest,
        }
        here = installed.record(model.folder)
        if here.get("repo"):
            facts["source"] = f"{here['repo']} at commit {here['revision']}"
        facts |= {f"sha256 of {path}": sum_ for path, sum_ in here.get("sha256", {}).items()}
        row = row or catalogue.by_source(model.id)
        facts |= {k: v for k, v in _facts(row).items() if k not in facts} if row else {}
    for key, value in facts.items():
        screen.say(f"{key:>12}  {value}")
    screen.data(facts)


@group.command()
@click.argument("id")
@options.yes
@options.showing
def remove(screen: Screen, id: str, yes: bool) -> None:
    """Delete an installed model's files, or what an interrupted download left."""
    from zeroshelf.models import installed

    if not options.confirmed(screen, yes, f"Delete {installed.place_of(id)}?"):
        screen.say(options.DECLINED)
        screen.data({"id": id, "folder": None})
        return
    folder = installed.remove(id)
    screen.say(f"removed {id}")
    screen.data({"id": id, "folder": str(folder)})


@group.command()
@click.argument("id", required=False)
@click.option("--device", default="cpu", show_default=True, help="Where its embeddings are made.")
@options.showing
def verify(screen: Screen, id: str | None, device: str) -> None:
    """Check an installed model: checksums, and its embeddings of a dozen pictures and texts."""
    from zeroshelf.models import installed, select

    model = select.find(id)
    with screen.progress() as progress:
        agreements = installed.verify(model.id, model.folder, device, screen.warn, progress)
    if agreements is None:
        screen.say(f"{model.id}: files as installed; it has no golden embeddings to compare with")
        screen.data({"id": model.id, "golden": None})
        return
    pictures, texts = agreements
    screen.say(f"{model.id} on {device.upper()}: pictures {pictures}")
    screen.say(f"{model.id} on {device.upper()}: texts {texts}")
    screen.data({"id": model.id, "golden": {"pictures": pictures.cosine, "texts": texts.cosine}})
    if not (pictures.holds and texts.holds):
        raise UserError(f"{model.id} no longer gives the embeddings that it gave; get it again")


@group.command()
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=click.Path())
@click.option("--model", help="A model's id or folder; see `zeroshelf models`.")
@click.option("--device", help="Where the model runs: cpu, cuda, ...; automatic by default.")
@click.option("--forget", is_flag=True, help="Go back to the model's own constants, and exit.")
@options.showing
def calibrate(
    screen: Screen, folders: tuple[str, ...], model: str | None, device: str | None, forget: bool
) -> int:
    """Measure where a model's "other" begins, on pictures that are sorted already.

    \b
      zeroshelf models calibrate Sorted --model clip-l-14

    FOLDER holds a folder for each of four names or more: Sorted/cat, Sorted/harbour; what is in
    Sorted/other is left out. Some names, drawn by chance and often, are labels, and the pictures
    of the rest should be "other": the constants that do best are kept with zeroshelf's own data.
    The pictures and the model's folder stay as they are.
    """
    from zeroshelf.decisions.calibrate import from_labelled, sorted_already
    from zeroshelf.embeddings import compute
    from zeroshelf.embeddings.cache import Store
    from zeroshelf.models import installed, select

    found = select.find(model)
    if bool(folders) == forget:
        raise UserError("name folders of sorted pictures to measure, or --forget to go back")
    if forget:
        installed.calibrate(found, None)
        found = select.find(model)
        screen.say(f"{found.id}: {_constants(found.open_set)}")
        screen.data({"id": found.id, "file": None} | asdict(found.open_set))
        return 0
    pictures, names = sorted_already(folders)
    encoder = select.load(found, device, warn=screen.warn)
    with Store.open() as store, screen.progress() as progress:
        embedded = compute.embed(pictures, encoder, store, progress=progress)
        constants = from_labelled(
            embedded,
            [names[picture.path] for picture in embedded.pictures],
            compute.text_embedder(encoder, store, progress),
        )
    file = installed.calibrate(found, constants)
    for skipped in embedded.skipped:
        screen.warn(f"skipped {skipped.path}: {skipped.reason}")
    screen.say(f"before: {_constants(found.open_set)}")
    screen.say(f"{found.id}: {_constants(constants)}")
    screen.say(f"kept in {file}; --forget goes back")
    screen.data({"id": found.id, "file": str(file)} | asdict(constants))
    return 1 if embedded.skipped else 0


def _constants(open_set: OpenSet) -> str:
    return (
        f"delta {open_set.delta:g}, temperatures {open_set.t_open:g} and {open_set.t_labels:g} "
        f"({open_set.source})"
    )


@group.command()
@click.argument("source")
@click.option("--to", "target", required=True, help="A new folder, or a name for the model.")
@click.option("--checkpoint", help="For an architecture's name: a .safetensors file, or a tag.")
@click.option("--images", help="For a text tower alone: the CLIP whose pictures it goes with.")
@click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), default="fp32")
@click.option("--language", "languages", multiple=True, help="ISO 639-1; for each language one.")
@click.option("--licence", default="not stated", help="To be shown with the model.")
@options.showing
def export(
    screen: Screen,
    source: str,
    target: str,
    checkpoint: str | None,
    images: str | None,
    precision: Any,
    languages: tuple[str, ...],
    licence: str,
) -> None:
    """Convert a checkpoint of torch to ONNX, and check it against torch.

    SOURCE is a folder or a hub's OWNER/NAME of open_clip, transformers (CLIP, SigLIP, SigLIP 2) or
    sentence-transformers, or an architecture that open_clip knows. Needs zeroshelf[export].
    """
    from zeroshelf.models import catalogue, installed

    try:
        from zeroshelf.models.export import export as convert
    except ImportError as error:
        raise UserError(
            f"export needs torch ({error.name} is missing): pip install 'zeroshelf[export]'"
        ) from error
    row = catalogue.by_source(source.removeprefix("hf-hub:"))
    folder = Path(target) if os.sep in target or "/" in target else installed.home() / target
    folder.parent.mkdir(parents=True, exist_ok=True)
    written = convert(
        source if row is None or row.export is None else row.export,
        folder,
        checkpoint=checkpoint,
        images=images or (row.images if row else None),
        precision=precision,
        licence=row.licence if row else licence,
        languages=languages or (row.languages if row else ("en",)),
        say=screen.say,
    )
    screen.say(f"ONNX against torch: pictures {written.pictures}")
    screen.say(f"ONNX against torch: texts {written.texts}")
    if written.small_pictures:
        screen.say(f"{precision} against fp32: pictures {written.small_pictures}")
        screen.say(f"{precision} against fp32: texts {written.small_texts}")
    name = folder if folder.parent != installed.home() else installed.adopt(folder)
    screen.say(f"written: zeroshelf sort FOLDER --model {name} ...")
    screen.data({"folder": str(folder), "id": str(name)})


def _facts(row: Any) -> dict[str, Any]:
    facts = {
        "name": row.name,
        "source": row.repo or f"export {row.export}",
        "ImageNet": f"{row.top1} % top-1, zero-shot, as published" if row.top1 else "not published",
        "size": f"{row.mb} MB, {row.params} million parameters",
        "licence": row.licence,
        "languages": " ".join(row.languages),
        "note": row.note,
    }
    return {key: value for key, value in facts.items() if value}
