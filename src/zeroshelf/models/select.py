"""Which model, and from its folder to an `Encoder`.

A folder's own files say how its pictures and texts are read (families.py); what they leave out is
in the record of its installation or in the catalogue.
"""

from __future__ import annotations

import contextlib
import importlib.util
import unicodedata
import warnings
from collections.abc import Collection
from dataclasses import asdict
from functools import partial
from pathlib import Path

from zeroshelf.errors import UserError
from zeroshelf.models import calibrations, catalogue, digest, families, graph, installed, ort
from zeroshelf.models.encoder import TwoTower
from zeroshelf.models.families import Layout
from zeroshelf.models.ort import Warn
from zeroshelf.records import Calibration, LabelSet, Model
from zeroshelf.system import app_folders, machine

# What a script tells of the language: the first word of a letter's name in Unicode.
SCRIPTS = {
    "ARABIC": "ar", "CJK": "zh", "CYRILLIC": "ru", "DEVANAGARI": "hi", "GREEK": "el",
    "HANGUL": "ko", "HEBREW": "he", "HIRAGANA": "ja", "KATAKANA": "ja", "THAI": "th",
}  # fmt: skip
STARTER = Path(__file__).parent.parent / "data" / "starter"
MULTILINGUAL = "starter-multilingual"  # in a package of its own, zeroshelf-languages
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "ru", "zh", "ja")  # that it knows


def starters() -> dict[str, Path]:
    """The models that come in packages, by id: one with this, and one more if it is installed."""
    found = importlib.util.find_spec("zeroshelf_languages")
    places = found.submodule_search_locations if found else None
    return {"starter": STARTER} | ({MULTILINGUAL: Path(places[0])} if places else {})


def find(name: str | None = None) -> Model:
    """The model of that name: "starter", an installed model's id, or a folder's path.

    None means the one that ZEROSHELF_MODEL names, else the most accurate that is installed, else
    the starter. Raises `UserError` where there is no such model; nothing is ever fetched.
    """
    if not name and (chosen := app_folders.variable("ZEROSHELF_MODEL")):
        try:
            return find(chosen)
        except UserError as trouble:  # the name is from the environment
            raise UserError(f"ZEROSHELF_MODEL: {trouble}") from trouble
    name = name or best_installed() or "starter"
    if name in (shipped := starters()):
        return describe(name, shipped[name])
    if name == MULTILINGUAL:
        raise UserError(
            f"{name} is a separate package: pip install ./languages in zeroshelf's repository"
        )
    for id in (name, getattr(catalogue.by_source(name), "id", name)):
        if id in installed.ids():
            return describe(id, installed.folder_of(id))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return describe(str(folder.resolve()), folder.resolve())
    bring = f"`zeroshelf models get {name}` brings it, " if catalogue.by_source(name) else ""
    raise UserError(
        f"there is no model {name!r} here, nor a folder of that name; {bring}`zeroshelf models` "
        "lists what there is"
    )


def best_installed() -> str | None:
    """The id of the installed model with the highest published accuracy; any, if none has one."""
    rows = catalogue.rows()
    here = installed.ids()
    return max(here, key=lambda id: (rows[id].top1 or 0) if id in rows else 0, default=None)


def describe(id: str, folder: Path, coming: Collection[Path] = ()) -> Model:
    """The model in `folder`, under the name `id`.

    `coming` are graphs that are still to be brought: what can't be used is refused without them,
    and what can has no digest yet.
    """
    found_layout = families.read(folder, coming)
    said = {key: value for key, value in found_layout.settings.items() if value is not None}
    known = installed.settings(folder) | said
    scale = known.get("logit_scale")
    file = folder / "config.json"
    families.check_logits(known, file)
    if scale is None and found_layout.family == "clip":
        scale = families.CLIP_LOGIT_SCALE
    if scale is None:
        raise UserError(
            f"{file}: logit_scale is missing, and no rule gives it for this "
            "model; add it from the checkpoint"
        )
    calibrations.parse(known, file)  # refused now, not after all pictures were embedded
    found = "" if coming else _digest(found_layout)
    return Model(
        id=id,
        folder=folder,
        digest=found,
        dim=found_layout.dim,
        preprocessing=found_layout.preprocessing,
        context_length=found_layout.text.context_length,
        logit_scale=families.number(scale, file, "logit_scale"),
        languages=families.languages(known, file),
        licence=str(known.get("licence", "not stated")),
    )


def calibration(model: Model) -> Calibration:
    """The model's calibration: the one stored for it, else that of its own settings, else the
    default. Raises `UserError` naming the file and key if it is not understood."""
    stored = calibrations.of(model)
    if stored is not None or not model.folder.is_dir():  # an encoder of a caller has no folder
        return stored or Calibration()
    own = families.read(model.folder).settings
    said = {key: value for key, value in own.items() if value is not None}
    known = installed.settings(model.folder) | said
    return calibrations.parse(known, model.folder / "config.json")


def load(
    model: Model,
    device: str | None = None,
    threads: int | None = None,
    warn: Warn | None = None,
) -> TwoTower:
    """Open nothing yet: each tower is read when it is first used.

    Raises `UserError` where the installed ONNX Runtime has no such `device`.

    `threads` are the text tower's; None: as many as this process may use. `warn` hears of a device
    that does not work; None: a Python warning, so that a slow CPU is never a surprise.
    """
    if device is not None:
        ort.check_device(device)
    warn = warn or partial(warnings.warn, category=RuntimeWarning, stacklevel=2)
    layout = families.read(model.folder)
    return TwoTower(model, layout, device, threads or machine.processors(), warn, reopen)


def reopen(id: str, folder: str, digest: str, device: str | None, threads: int) -> TwoTower:
    """The encoder that was pickled, in another process: by its id there, else from its folder.

    Raises `UserError` where the model's files are missing or differ: vectors of the two would not
    be comparable.
    """
    for of_id in (True, False):
        with contextlib.suppress(UserError):
            model = find(id) if of_id else describe(id, Path(folder))
            if model.digest == digest:
                return load(model, device, threads)
    raise UserError(f"the model {id} of the pickled encoder is not here, nor in {folder}")


def notes(model: Model, calibration: Calibration, labels: LabelSet) -> tuple[str, ...]:
    """Warnings for the user about a model with these labels, a line each."""
    lines = (
        _better_model(model),
        _unknown_language(model, _languages(labels)),
        _uncalibrated(model, calibration),
        ort.hidden_package(),
    )
    return tuple(line for line in lines if line)


def _better_model(model: Model) -> str | None:
    row = catalogue.recommend(gflops(), memory_mb()) if model.id == "starter" else None
    if row is None:
        return None
    return (
        f"the starter model is small; `zeroshelf models get {row.id}` brings a better one "
        f"(ImageNet {row.top1:.0f} %, {row.mb / 1000:.1f} GB, {row.licence})"
    )


def _uncalibrated(model: Model, calibration: Calibration) -> str | None:
    """Advice if the calibration was not measured; None also for a caller's own encoder, which has
    no folder that the command could calibrate."""
    if calibration.origin == "measured" or not model.folder.is_dir():
        return None
    how = "not calibrated: default constants are used"
    if calibration.origin in {"provisional", "transferred"}:
        how = f"calibrated by transfer from {calibration.source}, not on labelled pictures"
    return (
        f'the model {model.id} is {how}, so "other" may be less accurate; run `zeroshelf models '
        "calibrate` on a folder of sorted pictures"
    )


def _unknown_language(model: Model, languages: frozenset[str]) -> str | None:
    unknown = languages - set(model.languages)
    if not model.languages or not unknown:
        return None
    rows = catalogue.rows().values()
    known = [row.id for row in rows if unknown <= set(row.languages)][:3]
    if unknown <= set(LANGUAGES):
        known = [MULTILINGUAL, *known]
    advice = f"; these do: {', '.join(known)}" if known else ""
    named = ", ".join(sorted(unknown))
    return f"the model {model.id} does not know the labels' language ({named}){advice}"


def _languages(labels: LabelSet) -> frozenset[str]:
    """The language that the label set names, and those that the labels' letters give away."""
    letters = "".join("".join((label.name, *label.words)) for label in labels)
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in set(letters)}
    told = {language for script, language in SCRIPTS.items() if script in scripts}
    if "ja" in told:
        told.discard("zh")  # Japanese is written in both
    return frozenset(told or {labels.language})


def gflops() -> float:
    """How many 10^9 operations a second this machine's processors do."""
    return ort.gflops() * machine.processors()


def memory_mb() -> float:
    """This machine's memory, in units of 10^6 bytes."""
    return machine.memory() / 1e6


def _digest(layout: Layout) -> str:
    """Of all that shapes an embedding: graphs, weights beside them, tokenizer and settings."""
    files = [layout.visual, layout.textual]
    for tower in (layout.visual, layout.textual):
        if not tower.is_file():
            raise UserError(f"{tower} is missing, so the model can't be used")
        files += [tower.parent / name for name in graph.external_files(tower)]
    missing = [file for file in (*files, layout.text.tokenizer) if not file.is_file()]
    if missing:
        raise UserError(f"{missing[0]} is missing, so the model can't be used")
    text = {k: v for k, v in asdict(layout.text).items() if k != "tokenizer"}
    settings = f"{asdict(layout.preprocessing)} {text}"
    return digest.of([*files, layout.text.tokenizer], settings)
