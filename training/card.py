"""Figures -> the model cards: card-*.md, written by hand, with the tables put in."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent

Figures = dict[str, float]


def card(name: str, trained: dict[str, list[Figures]], measured: Figures, before: Figures) -> str:
    """`name`: english or multilingual. `trained`: the seeds' figures, from `train`."""
    text = (FOLDER / f"card-{name}.md").read_text(encoding="utf-8")
    if name == "multilingual":
        return text.replace("{languages}", _languages(measured))
    text = text.replace("{sets}", _sets(trained["seeds"], measured, before))
    text = text.replace("{unseen}", _unseen(trained["unseen"]))
    return text


def _sets(seeds: Sequence[Figures], measured: Figures, before: Figures) -> str:
    rows = ["| set | version 2 | this model | one network, mean of seeds (deviation) |"]
    rows += ["|---|---|---|---|"]
    for name, value in before.items():
        rows.append(f"| {name} | {value:.1f} | {measured[name]:.1f} | {_spread(seeds, name)} |")
    return "\n".join(rows)


def _unseen(seeds: Sequence[Figures]) -> str:
    rows = ["| words left out (labels) | one network, mean of seeds (deviation) |", "|---|---|"]
    return "\n".join(rows + [f"| {name} | {_spread(seeds, name)} |" for name in seeds[0]])


def _languages(measured: Figures) -> str:
    rows = ["| language | scenes15 | pacs-photo |", "|---|---|---|"]
    for name, value in measured.items():
        if name.startswith("scenes15 "):
            language = name.removeprefix("scenes15 ")
            rows.append(f"| {language} | {value:.1f} | {measured[f'pacs-photo {language}']:.1f} |")
    return "\n".join(rows)


def _spread(runs: Sequence[dict[str, float]], name: str) -> str:
    values = [run[name] for run in runs]
    return f"{statistics.fmean(values):.1f} ({statistics.stdev(values):.1f})"
