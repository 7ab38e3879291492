"""Figures -> the model cards: card-*.md, written by hand, with the tables put in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent

Figures = dict[str, float]


def card(name: str, measured: Figures, before: Figures) -> str:
    """`name`: english or multilingual. `measured`, `before`: this model's figures and version
    2's, from `evaluate`."""
    text = (FOLDER / f"card-{name}.md").read_text(encoding="utf-8")
    if name == "multilingual":
        return text.replace("{languages}", _languages(measured))
    apart = [key for key in measured if key.endswith(" words")]
    sets = [key for key in measured if key not in apart]
    text = text.replace("{sets}", _table("set", sets, measured, before))
    return text.replace("{words}", _table("pictures of", apart, measured, before))


def _table(head: str, names: Sequence[str], measured: Figures, before: Figures) -> str:
    rows = [f"| {head} | version 2 | this model |", "|---|---|---|"]
    rows += [f"| {name} | {before[name]:.1f} | {measured[name]:.1f} |" for name in names]
    return "\n".join(rows)


def _languages(measured: Figures) -> str:
    rows = ["| language | scenes15 | pacs-photo |", "|---|---|---|"]
    for name, value in measured.items():
        if name.startswith("scenes15 "):
            language = name.removeprefix("scenes15 ")
            rows.append(f"| {language} | {value:.1f} | {measured[f'pacs-photo {language}']:.1f} |")
    return "\n".join(rows)
