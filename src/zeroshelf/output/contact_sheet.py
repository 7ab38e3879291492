"""The contact sheet: the best pictures of each label in one image, as PNG and as HTML."""

from __future__ import annotations

import base64
import heapq
import html as markup
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageOps

from zeroshelf.output import lettering
from zeroshelf.output.results import Row, Thumbnails
from zeroshelf.records import OTHER

CELL, GAP, MARGIN = 136, 14, 40
HEADING, CAPTION = 46, 40  # heights above and below the pictures of a group
MOST = 100  # groups that are drawn; 1,000 with eight pictures each would be an image of 800 MB
PAPER, INK, QUIET, LINE, HOLD = "#fdfcf9", "#23221f", "#6b6960", "#e3e0d7", "#ece9e1"


@dataclass(frozen=True, slots=True)
class Group:
    """One label with some of its pictures."""

    label: str
    count: int  # of all its pictures
    pictures: tuple[tuple[str, float], ...]  # digest in hex and probability, best first


def groups(rows: Iterable[Row], labels: Sequence[str], most: int = 8) -> list[Group]:
    """The `most` best pictures of each label, in the labels' order, "other" last."""
    counts = dict.fromkeys((*labels, OTHER), 0)
    best: dict[str, list[tuple[float, int, str]]] = {label: [] for label in counts}
    for index, row in enumerate(rows):
        if row.label is None:
            continue
        counts[row.label] += 1
        heap = best[row.label]
        heapq.heappush(heap, (row.probability or 0.0, -index, row.digest or ""))
        if len(heap) > most:
            heapq.heappop(heap)
    return [
        Group(label, counts[label], tuple((digest, p) for p, _, digest in sorted(heap)[::-1]))
        for label, heap in best.items()
    ]


# --- PNG ----------------------------------------------------------------------------------------


def write(groups: Sequence[Group], thumbnails: Thumbnails, path: str) -> None:
    # level 1: half a second less than the default on a full sheet, a tenth larger
    draw(groups, thumbnails).save(path, "PNG", compress_level=1)


def draw(groups: Sequence[Group], thumbnails: Thumbnails) -> Image.Image:
    """Labels with few pictures share a line; one without any keeps its heading. Of more labels than
    `MOST`, those with the most pictures are shown, and the others are counted below."""
    groups, more = _shown(groups)
    columns = max(5, *(len(group.pictures) for group in groups), 0)
    lines = _lines(groups, columns)
    height = HEADING + CELL + CAPTION
    sheet = Image.new(
        "RGB",
        (
            2 * MARGIN + columns * (CELL + GAP) - GAP,
            2 * MARGIN - 12 + len(lines) * height + (HEADING if more else 0),
        ),
        PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        top = MARGIN - 12 + number * height
        for group, column, width in line:
            left = MARGIN + column * (CELL + GAP)
            _draw_heading(pen, group, (left, top), width * (CELL + GAP) - GAP)
            _draw_pictures(sheet, pen, group, (left, top + HEADING), thumbnails)
    if more:
        lettering.write(pen, (MARGIN, sheet.height - MARGIN), more, 14, QUIET)
    return sheet


def _draw_heading(
    pen: ImageDraw.ImageDraw, group: Group, place: tuple[int, int], room: int
) -> None:
    """A line, the label and the number of its pictures, within `room` pixels."""
    left, top = place
    pen.line((left, top, left + room, top), LINE, 1)
    count = f"{group.count:,}"
    end = lettering.write(
        pen, (left, top + 30), group.label, 19, INK, room=room - 10 - lettering.width(count, 15)
    )
    lettering.write(pen, (end + 10, top + 30), count, 15, QUIET)


def _draw_pictures(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    group: Group,
    place: tuple[int, int],
    thumbnails: Thumbnails,
) -> None:
    """The group's pictures side by side with their percent, from `place` on."""
    left, top = place
    if not group.pictures:
        lettering.write(pen, (left, top + 22), "no picture", 14, QUIET)
    small = _small(group, thumbnails)
    for index, (digest, probability) in enumerate(group.pictures):
        x = left + index * (CELL + GAP)
        sheet.paste(_square(small.get(digest)), (x, top), _corners())
        lettering.write(pen, (x + 1, top + CELL + 19), percent(probability), 14, QUIET)


def _shown(groups: Sequence[Group]) -> tuple[Sequence[Group], str]:
    """The groups to draw, in their order, and a line about the others; "" where there are none."""
    if len(groups) <= MOST:
        return groups, ""
    filled = [at for at, group in enumerate(groups) if group.count]
    shown = set(heapq.nlargest(MOST, filled, key=lambda at: groups[at].count))
    left = [group.count for at, group in enumerate(groups) if at not in shown]
    line = f"not shown: {len(left):,} more labels, pictures with them: {sum(left):,}"
    return [groups[at] for at in sorted(shown)], line


def _small(group: Group, thumbnails: Thumbnails) -> Mapping[str, bytes]:
    return thumbnails([digest for digest, _ in group.pictures]) if group.pictures else {}


def _lines(
    groups: Sequence[Group], columns: int
) -> list[list[tuple[Group, int, int]]]:  # group, first column, width in columns
    lines: list[list[tuple[Group, int, int]]] = []
    free = 0
    for group in groups:
        heading = lettering.width(group.label, 19) + lettering.width(f"{group.count:,}", 15) + 20
        width = max(len(group.pictures), min(4, columns, -int(-heading // (CELL + GAP))))
        if width > free:
            lines.append([])
            free = columns
        lines[-1].append((group, columns - free, width))
        free -= width
    return lines


def _square(jpeg: bytes | None) -> Image.Image:
    if jpeg is None:
        return Image.new("RGB", (CELL, CELL), HOLD)
    picture = Image.open(io.BytesIO(jpeg))
    picture.draft("RGB", (CELL, CELL))
    return ImageOps.fit(picture.convert("RGB"), (CELL, CELL), Image.Resampling.BICUBIC)


@lru_cache(maxsize=1)
def _corners() -> Image.Image:
    large = Image.new("L", (4 * CELL, 4 * CELL), 0)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, 4 * CELL - 1, 4 * CELL - 1), 32, 255)
    return large.resize((CELL, CELL), Image.Resampling.BOX)


def percent(probability: float) -> str:
    if 0 < probability < 0.01:
        return "< 1 %"
    if 0.99 < probability < 1:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


# --- HTML ---------------------------------------------------------------------------------------


def html(
    groups: Sequence[Group],
    thumbnails: Thumbnails,
    caption: Callable[[float], str] = percent,
) -> str:
    """The same figure for a notebook: small, whole in itself, in the notebook's own colours.

    caption: what is written below a picture of a group, from the number beside its digest.
    """
    groups, more = _shown(groups)
    parts = ['<div style="font-family: system-ui, sans-serif; line-height: 1.4">']
    for group in groups:
        label = markup.escape(group.label.encode("utf-8", "replace").decode("utf-8"))
        parts.append(
            f'<div style="margin: 14px 0 6px; font-size: 16px"><b><bdi>{label}</bdi></b>'
            f' <span style="opacity: .65">{group.count:,}</span></div>'
            '<div style="display: flex; flex-wrap: wrap; gap: 8px">'
        )
        small = _small(group, thumbnails)
        for digest, probability in group.pictures:
            picture = (
                f'<img src="data:image/jpeg;base64,{_tiny(small[digest])}" alt=""'
                ' style="width: 100%; height: 100%; object-fit: cover; margin: 0">'
                if digest in small
                else ""
            )
            parts.append(
                '<div style="width: 112px"><div style="width: 112px; height: 112px; overflow: '
                f'hidden; border-radius: 6px; background: rgba(128, 128, 128, .2)">{picture}</div>'
                f'<div style="font-size: 12px; opacity: .65">{caption(probability)}</div></div>'
            )
        parts.append("</div>" if group.pictures else "<i>no picture</i></div>")
    if more:
        parts.append(f'<div style="margin: 14px 0 6px; opacity: .65">{more}</div>')
    return "".join(parts) + "</div>"


def _tiny(jpeg: bytes) -> str:
    picture = Image.open(io.BytesIO(jpeg))
    picture.draft("RGB", (128, 128))
    picture.thumbnail((160, 160))
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=75)
    return base64.b64encode(file.getvalue()).decode("ascii")
