"""Which model, and from its folder to an `Encoder`."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
from blake3 import blake3

from zeroshelf import layout as layouts
from zeroshelf.encoder import TwoTower
from zeroshelf.errors import UserError
from zeroshelf.layout import Layout
from zeroshelf.ort import Warn
from zeroshelf.records import Model

STARTER = Path(__file__).parent / "data" / "starter"


def home() -> Path:
    """Where installed models live, a folder each."""
    return Path(
        os.environ.get("ZEROSHELF_MODELS")
        or Path(platformdirs.user_data_dir("zeroshelf"), "models")
    )


def find(name: str | None = None) -> Model:
    """The model of that name: "starter", an installed model's id, or a folder's path.

    None means the one that ZEROSHELF_MODEL names, else the starter.
    """
    name = name or os.environ.get("ZEROSHELF_MODEL") or "starter"
    if name == "starter":
        return describe("starter", STARTER)
    folder = home() / name.replace("/", "--")
    if folder.is_dir():
        return describe(name, folder)
    if Path(name).is_dir():
        return describe(str(Path(name).resolve()), Path(name).resolve())
    raise UserError(f"no model {name!r} here; `zeroshelf models get {name}` fetches it")


def describe(id: str, folder: Path) -> Model:
    layout = layouts.read(folder)
    settings = layout.settings
    scale, bias = settings.get("logit_scale"), settings.get("logit_bias")
    if scale is None and layout.family == "clip":
        scale = layouts.CLIP_LOGIT_SCALE
    if scale is None:
        raise UserError(f"{folder / 'config.json'}: logit_scale is missing; add it, and logit_bias")
    return Model(
        id=id,
        folder=folder,
        digest=_digest(layout),
        dim=layout.dim,
        preprocessing=layout.preprocessing,
        context_length=layout.text.context_length,
        logit_scale=float(scale),
        logit_bias=None if bias is None else float(bias),
        activation=settings.get("activation") or ("softmax" if bias is None else "sigmoid"),
        languages=tuple(settings.get("languages", ())),
        licence=str(settings.get("licence", "not stated")),
        open_set=layouts.open_set(settings, folder),
    )


def load(
    model: Model,
    device: str | None = None,
    threads: int | None = None,
    warn: Warn = lambda line: None,
) -> TwoTower:
    """Open nothing yet: each tower is read when it is first used.

    `threads` are the text tower's; None: as many as this process may use.
    """
    threads = threads or _cpus()
    return TwoTower(model, layouts.read(model.folder), device, threads, warn)


def _cpus() -> int:
    """The processors that this process may use: in a container fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _digest(layout: Layout) -> str:
    """Of all that shapes an embedding: both graphs, the tokenizer and the settings."""
    hasher = blake3(max_threads=blake3.AUTO)
    for file in (layout.visual, layout.textual, layout.text.tokenizer, *layout.sources):
        hasher.update_mmap(file)
    return hasher.hexdigest()


def notes(model: Model) -> tuple[str, ...]:
    """What a person should know of the model that answered."""
    if model.id == "starter":
        return (
            "this is the starter model, small and offline; for better answers: "
            "`zeroshelf models get ViT-B-16-SigLIP2__webli`",
        )
    return ()
