"""Draws a page's mermaid flow chart as SVG, so that the site loads no program that draws it.

Of mermaid's language it knows what docs/architecture.md uses: lines of "a --> b" and
"a -->|label| b" without a cycle. GitHub draws the same lines itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

FLOW_CHART = re.compile(r"^```mermaid\nflowchart \w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ARROW = re.compile(r"^ *(\w+) -->(?:\|([^|]*)\|)? (\w+)$", re.MULTILINE)
BOX = (130, 32)  # width and height in pixels
APART = (210, 78)  # of the middles of boxes, across and down
MARGIN = 110  # pixels left and right, for labels


@dataclass(frozen=True, slots=True)
class Arrow:
    """One line of the flow chart."""

    source: str
    target: str
    label: str = ""


def drawn(markdown: str) -> str:
    """`markdown` with its flow charts as SVG, in the colour of the text around them."""
    return FLOW_CHART.sub(lambda found: svg(arrows(found[1])), markdown)


def arrows(lines: str) -> list[Arrow]:
    """The arrows of a flow chart's lines. Raises `ValueError` for a line that is none."""
    found = [Arrow(source, target, label) for source, label, target in _ARROW.findall(lines)]
    if len(found) != len(lines.strip().splitlines()):
        raise ValueError("a flow chart has lines that are no arrows")
    return found


def places(given: Sequence[Arrow]) -> dict[str, tuple[float, int]]:
    """Where each box stands: column, which may be between two, and row. An arrow leads down; a box
    is below the middle of those that lead to it, and a whole column from its neighbours."""
    names = [*dict.fromkeys(name for arrow in given for name in (arrow.source, arrow.target))]
    before = {name: [one.source for one in given if one.target == name] for name in names}
    rows: dict[str, int] = {}
    while len(rows) < len(names):
        ready = [name for name in names if name not in rows and {*before[name]} <= {*rows}]
        if not ready:
            raise ValueError("a flow chart has a cycle")
        rows |= {name: max((rows[one] + 1 for one in before[name]), default=0) for name in ready}
    columns: dict[str, float] = {}
    for row in range(max(rows.values()) + 1):
        here = [name for name in names if rows[name] == row]
        wanted = {
            name: sum(columns[one] for one in before[name]) / len(before[name]) if row else place
            for place, name in enumerate(here)
        }
        here.sort(key=wanted.__getitem__)
        middle = sum(wanted.values()) / len(here)
        spread = [wanted[here[0]]]
        for name in here[1:]:
            spread.append(max(wanted[name], spread[-1] + 1))
        moved = middle - sum(spread) / len(spread)
        columns |= {name: column + moved for name, column in zip(here, spread, strict=True)}
    return {name: (columns[name], rows[name]) for name in names}


def svg(given: Sequence[Arrow]) -> str:
    """The arrows as one SVG element without an empty line, which would end it in Markdown."""
    at = places(given)
    left = min(column for column, _ in at.values())
    across = max(column for column, _ in at.values()) - left
    down = max(row for _, row in at.values())
    width = round(across * APART[0]) + BOX[0] + 2 * MARGIN
    height = down * APART[1] + BOX[1] + 4

    def pixels(name: str) -> tuple[float, float]:
        column, row = at[name]
        return MARGIN + BOX[0] / 2 + (column - left) * APART[0], 2 + BOX[1] / 2 + row * APART[1]

    lines = [
        f'<svg viewBox="0 0 {width} {height}" style="max-width: {width}px; width: 100%" role="img" '
        'aria-label="The stages and what they hand to each other" font-family="inherit" '
        'font-size="14" fill="currentColor" stroke="none">',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>',
        *(_line(arrow, given, pixels) for arrow in given),
        *(_box(name, *pixels(name)) for name in at),
        "</svg>",
    ]
    return "\n".join(lines)


def _line(
    arrow: Arrow, every: Sequence[Arrow], pixels: Callable[[str], tuple[float, float]]
) -> str:
    """An arrow, and its label beside the middle, on the side where no other arrow leads."""
    (x, top), (to_x, to_y) = pixels(arrow.source), pixels(arrow.target)
    y, to_y = top + BOX[1] / 2, to_y - BOX[1] / 2
    several = sum(one.source == arrow.source for one in every) > 1
    is_left = (to_x > x) != several
    clear = 8 + 7 * abs(to_x - x) / (to_y - y)  # pixels, for half a label's height
    side, anchor = (-clear, "end") if is_left else (clear, "start")
    label = (
        f'<text x="{(x + to_x) / 2 + side:.0f}" y="{(y + to_y) / 2 + 4:.0f}" font-size="12" '
        f'text-anchor="{anchor}">{escape(arrow.label)}</text>'
    )
    line = (
        f'<path d="M{x:.0f} {y:.0f} {to_x:.0f} {to_y:.0f}" stroke="currentColor" '
        'marker-end="url(#head)"/>'
    )
    return line + label * bool(arrow.label)


def _box(name: str, x: float, y: float) -> str:
    width, height = BOX
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" width="{width}" '
        f'height="{height}" rx="6" fill="currentColor" fill-opacity="0.07" '
        f'stroke="currentColor"/><text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">'
        f"{escape(name)}</text>"
    )
