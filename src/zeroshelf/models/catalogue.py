"""The catalogue of models (catalogue.toml), and which one to recommend on this machine."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".toml")

# The languages of XM3600 (Thapliyal et al. 2022), by which such models are measured.
MULTILINGUAL = (
    "ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fil", "fr", "he", "hi", "hr", "hu",
    "id", "it", "ja", "ko", "mi", "nl", "no", "pl", "pt", "ro", "ru", "sv", "sw", "te", "th", "tr",
    "uk", "vi", "zh",
)  # fmt: skip
VIT_EFFICIENCY = 0.6  # of a plain matrix product's speed, that ONNX Runtime reaches on a ViT


@dataclass(frozen=True, slots=True)
class Row:
    """One model of the catalogue. The head of catalogue.toml explains the fields."""

    id: str
    name: str
    mb: int
    params: int
    gflop: float
    licence: str
    languages: tuple[str, ...]
    repo: str | None = None
    folder: str = ""
    export: str | None = None
    images: str | None = None
    revision: str | None = None
    top1: float | None = None
    logit_scale: float | None = None
    logit_bias: float | None = None
    activation: str | None = None
    note: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)
    open_set: Mapping[str, Any] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a folder of this model may not say of itself."""
        known = {
            "logit_scale": self.logit_scale,
            "logit_bias": self.logit_bias,
            "activation": self.activation,
            "licence": self.licence,
            "languages": list(self.languages),
            "open_set": self.open_set,
        }
        return {key: value for key, value in known.items() if value is not None}


@cache
def rows() -> Mapping[str, Row]:
    """Every row by its id, in the file's order."""
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {id: _row(id, values) for id, values in table.items()}


def by_source(name: str) -> Row | None:
    """The row of that id, or of that hub id; "clip-ViT-L-14", the notebook's word, is known too."""
    short = name.lower().replace("vit-", "")
    for row in rows().values():
        sources = [s.removeprefix("hf-hub:") for s in (row.repo, row.export) if s]
        if short == row.id or name in (*sources, *(s.split("/")[-1] for s in sources)):
            return row
    return None


def pictures_per_second(row: Row, gflops: float) -> float:
    """About how many pictures a second this machine embeds with a model, given its `gflops`."""
    return VIT_EFFICIENCY * gflops / row.gflop


def memory_mb(row: Row) -> int:
    """About what a run needs: the larger tower in float32, and what decoding takes."""
    return int(row.params * 4 * 0.75) + 400


def recommend(
    gflops: float,
    memory: float,
    languages: Collection[str] = ("en",),
    installed: Collection[str] = (),
) -> Row | None:
    """The most accurate model that `models get` brings, that embeds a thousand pictures in about
    eight minutes and fits in half the `memory` (MB); on a slower machine, the fastest."""
    fitting = [
        row
        for row in rows().values()
        if row.repo and row.top1 and memory_mb(row) < memory / 2 and row.id not in installed
        if set(languages) <= set(row.languages)
    ]
    quick = [row for row in fitting if pictures_per_second(row, gflops) >= 2]
    if quick:
        return max(quick, key=lambda row: row.top1 or 0)
    return min(fitting, key=lambda row: row.gflop, default=None)


def _row(id: str, values: dict[str, Any]) -> Row:
    languages = values.pop("languages")
    return Row(
        id=id,
        languages=MULTILINGUAL if languages == "multilingual" else tuple(languages),
        **values,
    )
