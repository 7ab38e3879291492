"""Models, for programs: `zeroshelf.models()` and `zeroshelf.load_model`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zeroshelf import checks
from zeroshelf.models import catalogue, installed, select
from zeroshelf.models.encoder import TwoTower
from zeroshelf.models.families import read_json


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known about a model before it is opened."""

    id: str  # what `classify`, `index` and `load_model` take as `model`
    installed: bool  # True: it is on this machine, and can be used without the network
    name: str = ""  # as its makers call it
    imagenet: float | None = None  # zero-shot top-1 accuracy on ImageNet in percent, as published
    megabytes: int | None = None  # to download, in units of 10^6 bytes
    licence: str = ""
    languages: tuple[str, ...] = ()  # ISO 639-1, that its text tower knows


def models() -> list[ModelInfo]:
    """All models: those that come with the program, those of the catalogue, and others that are
    installed. No model is opened, and nothing is downloaded: `zeroshelf models get ID` does that.

    Returns: a list, the models that come with the program first.
    """
    here = installed.ids()
    rows = catalogue.rows()
    shipped = [
        ModelInfo(id, True, id, licence="MIT", languages=tuple(read_json(at)["languages"]))
        for id, folder in select.starters().items()
        if (at := folder / "config.json").is_file()
    ]
    known = [
        ModelInfo(
            row.id, row.id in here, row.name, row.top1, row.mb, row.licence, tuple(row.languages)
        )
        for row in rows.values()
    ]
    return [*shipped, *known, *(ModelInfo(id, True, id) for id in here if id not in rows)]


def load_model(
    model: str | None = None,
    *,
    device: str | None = None,
    threads: int | None = None,
    warn: Callable[[str], None] | None = None,
) -> TwoTower:
    """An encoder: both towers of one model, which embed pictures and texts into one space.

    Each tower is opened when it is first used. An encoder can be pickled: another process opens the
    same model by its id, and refuses another version of it.

    model: a model's id or folder; None: the best that is installed.
    device: where it runs, "cpu" or "cuda", ...; None: automatic.
    threads: of the text tower; None: as many as this process may use.
    warn: called with a line where a device fails and another takes over; None: a Python warning.

    Raises `UserError` if there is no such model, it can't be used, or there is no such device.
    """
    model = None if model is None else checks.path(model, "model")
    device = None if device is None else checks.text(device, "device")
    threads = None if threads is None else checks.count(threads, "threads")
    checks.function(warn, "warn")
    return select.load(select.find(model), device, threads, warn)
