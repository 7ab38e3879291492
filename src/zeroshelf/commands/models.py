"""`zeroshelf models`: list, get, show, verify, calibrate, remove and export models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from zeroshelf.commands import options
from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError
from zeroshelf.system import app_folders


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
    from zeroshelf.commands import model_facts
    from zeroshelf.models import catalogue, installed, select

    here, speed, begun = installed.ids(), select.gflops(), installed.begun()
    screen.table(model_facts.COLUMNS, model_facts.table_rows(here, speed))
    for id, size in begun.items():
        screen.say(
            f"{id}: download incomplete, {size / 1e6:,.0f} MB so far; `zeroshelf models get {id}` "
            f"resumes it, `zeroshelf models remove {id}` deletes it"
        )
    best = catalogue.recommend(speed, select.memory_mb(), installed=here)
    if best:
        screen.say(f"For this machine: zeroshelf models get {best.id}")
    default = app_folders.variable("ZEROSHELF_MODEL") or select.best_installed() or "starter"
    screen.say(f"Used without --model: {default}")
    screen.data(
        {
            "default": default,
            "recommended": best.id if best else None,
            "installed": list(here),
            "begun": begun,  # bytes of each
            "starters": list(select.starters()),
            "models": model_facts.json_rows(here, speed),
        }
    )


@group.command()
@click.argument("id")
@click.option("--revision", help="A commit or tag of the repository; the newest by default.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Of the image tower. By default int8 on a CPU, where the hub has it, it agrees with "
    "float32 and is faster.",
)
@options.showing
def get(screen: Screen, id: str, revision: str | None, precision: Any) -> None:
    """Download a model from a hub: a catalogue id, or OWNER/NAME of any repository."""
    from zeroshelf.models import installation, select

    if id in (*select.starters(), select.MULTILINGUAL):
        model = select.find(id)
        screen.say(f"{id} is already installed, as part of its package ({model.folder})")
        screen.data({"id": id, "folder": str(model.folder), "licence": model.licence})
        return
    offer = installation.offer(id, revision, precision)
    screen.say(
        f"{offer.id}: {offer.size / 1e6:,.0f} MB from {offer.remote.repo} at "
        f"{offer.remote.revision[:12]}"
    )
    screen.say(f"licence: {offer.licence}")
    if offer.row is None:
        screen.warn(f"{id} is not in the catalogue: its accuracy is unknown")
    elif offer.row.note:
        screen.warn(offer.row.note)
    folder = installation.install(offer, screen.say)
    screen.say(f"installed: zeroshelf sort FOLDER --model {offer.id} ...")
    screen.data({"id": offer.id, "folder": str(folder), "licence": offer.licence})


@group.command()
@click.argument("id", required=False)
@options.showing
def show(screen: Screen, id: str | None) -> None:
    """Show everything that is known about a model; without ID, about the one that would be used."""
    from zeroshelf.commands import model_facts
    from zeroshelf.models import catalogue, select

    row = catalogue.by_source(id) if id else None
    try:
        model = select.find(id)
    except UserError:
        if row is None:
            raise
        facts: dict[str, Any] = {"id": row.id, "installed": "no"} | model_facts.of_row(row)
    else:
        encoder = select.load(model, warn=screen.warn)
        device = encoder.open()
        facts = model_facts.of_model(
            model, device, row or catalogue.by_source(model.id), encoder.half_cosine
        )
    for key, value in facts.items():
        screen.say(f"{key:>12}  {value}")
    screen.data(facts)


@group.command()
@click.argument("id")
@options.yes
@options.showing
def remove(screen: Screen, id: str, yes: bool) -> None:
    """Delete an installed model's files, or what an interrupted download left."""
    from zeroshelf.models import installation, installed

    if not options.confirmed(screen, yes, f"Delete {installed.place_of(id)}?"):
        screen.say(options.DECLINED)
        screen.data({"id": id, "folder": None})
        return
    folder = installation.remove(id)
    screen.say(f"removed {id}")
    screen.data({"id": id, "folder": str(folder)})


@group.command()
@click.argument("id", required=False)
@click.option("--device", default="cpu", show_default=True, help="Where its embeddings are made.")
@options.showing
def verify(screen: Screen, id: str | None, device: str) -> None:
    """Check an installed model: checksums, and its embeddings of a dozen pictures and texts."""
    from zeroshelf.models import installation, select

    model = select.find(id)
    with screen.progress() as progress:
        comparisons = installation.verify(model.id, model.folder, device, screen.warn, progress)
    if comparisons is None:
        screen.say(f"{model.id}: files as installed; it has no golden embeddings to compare with")
        screen.data({"id": model.id, "golden": None})
        return
    pictures, texts = comparisons
    screen.say(f"{model.id} on {device.upper()}: pictures {pictures}")
    screen.say(f"{model.id} on {device.upper()}: texts {texts}")
    screen.data({"id": model.id, "golden": {"pictures": pictures.cosine, "texts": texts.cosine}})
    if not (pictures.within_tolerance and texts.within_tolerance):
        raise UserError(
            f"{model.id} gives other embeddings than when it was made: remove it and get it again"
        )


@group.command()
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=click.Path())
@click.option("--model", help="A model's id or folder; see `zeroshelf models`.")
@click.option("--device", help="Where the model runs: cpu, cuda, ...; automatic by default.")
@click.option("--forget", is_flag=True, help="Delete the measured calibration, and exit.")
@options.showing
def calibrate(
    screen: Screen, folders: tuple[str, ...], model: str | None, device: str | None, forget: bool
) -> int:
    """Calibrate a model's decision between a label and "other" on sorted pictures.

    \b
      zeroshelf models calibrate Sorted --model clip-l-14

    FOLDER contains a sub-folder for each of four names or more: Sorted/cat, Sorted/harbour;
    Sorted/other is left out. Folders are simulated in which some of the names, drawn at random,
    are the labels and pictures of the other names belong in "other"; the calibration that does
    best is stored with zeroshelf's own data. No picture and no file of the model changes.

    Before and after are shown on the same simulated folders. A calibration that would switch
    "other" off, or leave nothing on the shelves, is refused, and the one before stays.
    """
    from zeroshelf.commands.calibration import measure
    from zeroshelf.models import calibrations, select

    found = select.find(model)
    if bool(folders) == forget:
        raise UserError("name folders of sorted pictures to calibrate with, or pass --forget")
    if not forget:
        return measure(screen, found, folders, device)
    file = calibrations.store(found, None)
    own = select.calibration(found)
    screen.say(f"No measured calibration is stored any more: {file}")
    screen.say(f"{found.id}: {calibrations.described(own)}")
    screen.data({"id": found.id, "file": None} | calibrations.as_json(own))
    return 0


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
    from zeroshelf.models import catalogue, installation, installed

    try:
        from zeroshelf.models.export import export as convert
    except ImportError as error:
        raise UserError(
            f'export needs torch ({error.name} is missing): pip install "zeroshelf[export]"'
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
    name = folder if folder.parent != installed.home() else installation.adopt(folder)
    screen.say(f"written: zeroshelf sort FOLDER --model {name} ...")
    screen.data({"folder": str(folder), "id": str(name)})
