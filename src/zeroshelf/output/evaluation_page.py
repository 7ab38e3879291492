"""An evaluation as one HTML page that opens from disk, loads nothing and has no script.

Labels and paths are hostile text: every one is escaped, and the page's Content-Security-Policy
allows its own style and pictures inside it, nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from zeroshelf.counting import counted
from zeroshelf.decisions.evaluate import Evaluation, ThresholdResult
from zeroshelf.output.evaluation_data import Wrong, confused

MOST_NAMES = 40  # labels in a confusion matrix; of more, the most frequent confusions are listed
CONFUSIONS = 20
WRONG = 120  # pictures shown; the data has all


@dataclass(frozen=True, slots=True)
class Part:
    """One run on the page."""

    title: str  # "run 2026-11-27-a"
    about: tuple[str, ...]  # lines on what was compared
    evaluation: Evaluation
    wrong: Sequence[Wrong]
    thumbnails: Mapping[str, bytes]  # digest in hex -> a small JPEG


@dataclass(frozen=True, slots=True)
class Against:
    """A second run, compared on the pictures that both have."""

    title: str
    first: Evaluation  # of the run of the page, on the pictures in common
    second: Evaluation
    gained: Sequence[str]  # paths of pictures that only the first has on a right shelf
    lost: Sequence[str]  # and that only the second has


def page(part: Part, against: Against | None = None) -> str:
    """The page as text. What can't be shown, as bytes of a path that are no UTF-8, is U+FFFD."""
    shell = resources.files("zeroshelf").joinpath("data/evaluation.html").read_text("utf-8")
    (style,) = re.findall("<style>(.*?)</style>", shell, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    body = [_head(part), *([_against(part, against)] if against else []), _labels(part.evaluation)]
    body += [_confusion(part.evaluation), _thresholds(part.evaluation), _wrong(part)]
    before, after = shell.replace("{{policy}}", policy).split("{{body}}")
    return before + "\n".join(body) + after


def percent(share: float | None) -> str:
    """A share from 0 to 1 in percent; a dash for None."""
    return "\u2013" if share is None else f"{100 * share:.1f} %"


def _text(text: str) -> str:
    shown = "".join(one if one.isprintable() else "\ufffd" for one in text)
    return f"<bdi>{html.escape(shown)}</bdi>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table whose first cells are the rows' names; cells are HTML already."""
    names = "".join(
        f'<th scope="col"{"" if at else " class=text"}>{one}</th>' for at, one in enumerate(head)
    )
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    note = f"<caption>{caption}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{note}<thead><tr>{names}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _head(part: Part) -> str:
    found = part.evaluation
    figures = [
        ("on the right shelf", percent(found.accuracy)),
        ("of those that fit a label", percent(found.label_accuracy)),
        ("of those that fit none", percent(found.other_accuracy)),
        ("calibration error", percent(found.calibration_error)),
    ]
    for word, one in (found.confidences or {}).items():
        figures.append((f"of {one.decisions:,} \u201c{word}\u201d right", percent(one.accuracy)))
    items = "".join(f"<li><strong>{value}</strong>{name}</li>" for name, value in figures)
    lines = "".join(f'<p class="quiet">{_text(line)}</p>' for line in part.about)
    return f'<h1>{_text(part.title)}</h1>{lines}<ul class="figures">{items}</ul>'


def _against(part: Part, against: Against) -> str:
    first, second = against.first, against.second
    figures = [
        ("on the right shelf", first.accuracy, second.accuracy),
        ("of those that fit a label", first.label_accuracy, second.label_accuracy),
        ("of those that fit none", first.other_accuracy, second.other_accuracy),
        ("\u201csure\u201d right", first.sure_accuracy, second.sure_accuracy),
        ("calibration error", first.calibration_error, second.calibration_error),
    ]
    rows = [(name, percent(one), percent(two)) for name, one, two in figures]
    both = [name for name in first.names if name in second.names]
    labels = [
        (
            _text(name),
            percent(first.labels[name].precision),
            percent(second.labels[name].precision),
            percent(first.labels[name].recall),
            percent(second.labels[name].recall),
        )
        for name in both
    ]
    titles = _text(part.title), _text(against.title)
    changed = "".join(
        f"<p>{counted(len(paths), 'picture is right', 'pictures are right')} in {title} alone"
        + (": " + ", ".join(map(_text, paths[:CONFUSIONS])) if paths else "")
        + (" ..." if len(paths) > CONFUSIONS else "")
        + "</p>"
        for paths, title in ((against.gained, titles[0]), (against.lost, titles[1]))
    )
    one, two = titles
    heads = ("label", f"precision, {one}", two, f"recall, {one}", two)
    return (
        f"<h2>{one} against {two}</h2>"
        f"<p>{counted(first.pictures, 'picture')} with a known truth in both runs.</p>"
        f"{_table(('', *titles), rows)}{changed}{_table(heads, labels, 'Labels of both runs')}"
    )


def _labels(found: Evaluation) -> str:
    rows = [
        (
            _text(name),
            f"{one.pictures:,}",
            f"{one.decided:,}",
            percent(one.precision),
            percent(one.recall),
        )
        for name, one in found.labels.items()
    ]
    heads = "label", "pictures of it", "on its shelf", "precision", "recall"
    return f"<h2>By label</h2>{_table(heads, rows)}"


def _confusion(found: Evaluation) -> str:
    if len(found.names) > MOST_NAMES:
        pairs = [
            (_text(one.truth), f'<td class="text">{_text(one.label)}</td>', f"{one.pictures:,}")
            for one in confused(found)[:CONFUSIONS]
        ]
        return f"<h2>Confusions</h2>{_table(('it is', 'on the shelf', 'pictures'), pairs)}"
    rows = []
    for at, name in enumerate(found.names):
        cells = [_text(name)]
        for column, count in enumerate(found.confusion[at].tolist()):
            kind = "right" if at == column else "wrong"
            cells.append(f'<td class="{kind}">{count:,}</td>' if count else "<td></td>")
        rows.append(cells)
    heads = ("it is \\ on the shelf", *map(_text, found.names))
    return f"<h2>Confusion matrix</h2>{_table(heads, rows, 'Pictures')}"


def _thresholds(found: Evaluation) -> str:
    rows = [
        (
            f"{one.threshold:.2f}",
            f"{one.kept:,}",
            percent(one.precision),
            percent(one.recall),
            percent(one.other_accuracy),
        )
        for one in found.thresholds
    ]
    heads = "threshold", "on a shelf", "precision", "recall", "of those that fit none, in other"
    return (
        "<h2>By threshold</h2><p>If a picture were on the shelf of its best label where that has "
        f"at least this probability (<code>--threshold</code>), else in other.</p>"
        f"{_curve(found.thresholds)}{_table(heads, rows)}"
    )


def _curve(results: Sequence[ThresholdResult]) -> str:
    """Precision and recall over the threshold."""
    width, height, left, top = 560, 220, 40, 14

    def at(threshold: float, share: float) -> str:
        return f"{left + threshold * width:.1f},{top + (1 - share) * height:.1f}"

    lines = []
    for name, shares in (
        ("one", [(one.threshold, one.precision) for one in results]),
        ("two", [(one.threshold, one.recall) for one in results]),
    ):
        points = " ".join(at(x, y) for x, y in shares if y is not None)
        lines.append(f'<polyline class="{name}" points="{points}"/>')
    grid = "".join(
        f'<line class="grid" x1="{left}" x2="{left + width}" y1="{top + (1 - y) * height:.0f}" '
        f'y2="{top + (1 - y) * height:.0f}"/><text x="4" y="{top + (1 - y) * height + 4:.0f}">'
        f"{100 * y:.0f} %</text>"
        for y in (0, 0.5, 1)
    )
    ticks = "".join(
        f'<text x="{left + x * width - 8:.0f}" y="{top + height + 18}">{x:g}</text>'
        for x in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<svg viewBox="0 0 {left + width + 20} {top + height + 26}" width="{left + width + 20}" '
        f'role="img" aria-label="Precision (solid) and recall (dashed) by threshold">'
        f"{grid}{ticks}{''.join(lines)}</svg>"
        '<p class="quiet">Solid: precision. Dashed: recall.</p>'
    )


def _wrong(part: Part) -> str:
    if not part.wrong:
        return "<h2>Wrong</h2><p>No decision is wrong.</p>"
    items = []
    for one in part.wrong[:WRONG]:
        small = part.thumbnails.get(one.digest)
        image = ""
        if small is not None:
            data = base64.b64encode(small).decode("ascii")
            image = f'<img alt="" loading="lazy" src="data:image/jpeg;base64,{data}">'
        items.append(
            f"<li>{image}{_text(one.path)}<br>is <strong>{_text(one.truth)}</strong>, on "
            f"<strong>{_text(one.label)}</strong> with {percent(one.probability)}: "
            f"{_text(one.reason)}</li>"
        )
    more = len(part.wrong) - len(items)
    rest = f'<p class="quiet">and {more:,} more, in the data (--json)</p>' if more else ""
    return (
        f"<h2>Wrong: {counted(len(part.wrong), 'picture')}, the most confident first</h2>"
        f'<ul class="pictures">{"".join(items)}</ul>{rest}'
    )
