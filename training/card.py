"""Figures -> the model card: card.md, written by hand, with the tables put in."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

CARD = Path(__file__).with_name("card.md")


def card(figures: dict[str, list[dict[str, float]]], shipped: Sequence[dict[str, float]]) -> str:
    return CARD.read_text(encoding="utf-8").replace("{tables}", tables(figures, shipped))


def tables(figures: dict[str, list[dict[str, float]]], shipped: Sequence[dict[str, float]]) -> str:
    """`shipped`: the measured files, this model's first, then what it is held against."""
    lines = [
        "| set | version 0 | this model | one head, mean of seeds (deviation) |",
        "|---|---|---|---|",
    ]
    for name in shipped[0]:
        columns = [f"{model[name]:.1f}" for model in reversed(shipped)]
        lines.append(f"| {' | '.join([name, *columns, _spread(figures['seeds'], name)])} |")
    lines += [
        "",
        "| words left out of training (labels) | one head, mean of seeds (deviation) |",
        "|---|---|",
    ]
    for name in figures["unseen"][0]:
        lines.append(f"| {name} | {_spread(figures['unseen'], name)} |")
    return "\n".join(lines)


def _spread(runs: Sequence[dict[str, float]], name: str) -> str:
    values = [run[name] for run in runs]
    return f"{statistics.fmean(values):.1f} ({statistics.stdev(values):.1f})"
