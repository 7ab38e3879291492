"""Exports a checkpoint to a folder and compares it with torch; a failure leaves no folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zeroshelf.errors import UserError
from zeroshelf.models import fetch, golden
from zeroshelf.models.export import check, write
from zeroshelf.models.export.towers import Towers, safetensors_in
from zeroshelf.models.golden import Comparison

Precision = Literal["fp32", "fp16", "int8"]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Written:
    """A finished export. `pictures` and `texts` compare float32 with torch, the next two the
    smaller precision with float32, where one was asked for."""

    folder: Path
    pictures: Comparison
    texts: Comparison
    small_pictures: Comparison | None = None
    small_texts: Comparison | None = None


def export(
    source: str,
    target: Path,
    *,
    checkpoint: str | None = None,
    images: str | None = None,
    precision: Precision = "fp32",
    licence: str = "not stated",
    languages: tuple[str, ...] = ("en",),
    say: Say = lambda line: None,
) -> Written:
    """Write the model of `source` into the folder `target`, which must not exist yet.

    Raises `UserError` where ONNX and torch differ; then nothing is left at `target`.
    """
    if target.exists():
        raise UserError(f"{target} exists already; choose another folder or remove it")
    say(f"reading {source}")
    towers = _read(source, checkpoint, images)
    towers.config.update(licence=licence, languages=list(languages), precision=precision)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        say("writing ONNX")
        write.write(towers, partial)
        say("comparing with torch")
        theirs, ours = check.of_torch(towers), check.of_onnx(partial)
        pictures, texts = (golden.compare(*pair) for pair in zip(ours, theirs, strict=True))
        if not (pictures.within_tolerance and texts.within_tolerance):
            raise UserError(
                f"the written model differs from {source}, so it was removed: "
                f"pictures {pictures}; texts {texts}"
            )
        small: list[Comparison] = []
        kept = theirs
        if precision != "fp32":
            say(f"converting to {precision}")
            _shrink(partial, precision)
            kept = check.of_onnx(partial)
            small = [golden.compare(*pair) for pair in zip(kept, ours, strict=True)]
        golden.save(partial, *kept)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Written(target, pictures, texts, *small)


def _read(source: str, checkpoint: str | None, images: str | None) -> Towers:
    if not source.startswith(("hf-hub:", "local-dir:")) and not Path(source).is_dir():
        from zeroshelf.models.export import from_open_clip

        if source in from_open_clip.architectures():
            if checkpoint is None:
                raise UserError(f"{source} is an architecture: name its weights by --checkpoint")
            if Path(checkpoint).is_file():
                return from_open_clip.from_architecture(source, Path(checkpoint))
            repo, quick_gelu = from_open_clip.hub_source(source, checkpoint)
            file = safetensors_in(fetch.checkpoint(repo))
            return from_open_clip.from_architecture(source, file, quick_gelu)
    folder = _folder(source)
    if (folder / "open_clip_config.json").is_file():
        from zeroshelf.models.export import from_open_clip

        return from_open_clip.from_folder(folder, Path(checkpoint) if checkpoint else None)
    from zeroshelf.models.export import from_transformers

    if (folder / "modules.json").is_file():
        return from_transformers.from_sentence_transformers(
            folder, _folder(images) if images else None
        )
    return from_transformers.from_folder(folder)


def _folder(source: str) -> Path:
    """A folder as it is, or a hub id's files but for pickles."""
    path = Path(source.removeprefix("local-dir:"))
    if path.is_dir():
        return path
    if source.startswith("local-dir:"):
        raise UserError(f"{path} is not a folder")
    return fetch.checkpoint(source.removeprefix("hf-hub:"))


def _shrink(folder: Path, precision: Precision) -> None:
    from zeroshelf.models.export import shrink

    steps = {"fp16": (shrink.to_fp16,), "int8": (shrink.to_int8, shrink.to_fp16)}[precision]
    for tower in ("visual", "textual"):
        for step in steps:  # in eight bits the products, the rest (token tables) in half precision
            step(folder / tower / "model.onnx")
