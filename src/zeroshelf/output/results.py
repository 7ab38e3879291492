"""One row a picture, as it leaves a run: results.jsonl, results.csv, and what the report shows.

A path that is no valid UTF-8 contains lone surrogates (see records). It survives both files: JSON
writes them as \\udcXX, CSV as the bytes that they stand for.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TextIO, TypeAlias

from zeroshelf.decisions.decide import Decisions
from zeroshelf.errors import UserError
from zeroshelf.records import Confidence, Skipped
from zeroshelf.system import file_versions

# Digests in hex -> a small JPEG each; a digest without a thumbnail is left out of the answer.
Thumbnails: TypeAlias = Callable[[Sequence[str]], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Row:
    """What is known about one picture. A skipped file has a path and a reason, and no more."""

    path: str
    label: str | None  # "other" where no label fits, None where the picture was skipped
    top_label: str | None
    probability: float | None
    margin: float | None
    confidence: Confidence | None
    reason: str
    top: tuple[tuple[str, float], ...] = ()  # the five best labels, best first
    looks_like: str | None = None
    target: str | None = None  # where the plan puts it
    size: int | None = None  # bytes
    digest: str | None = None  # BLAKE3 of the content in hex: finds the thumbnail
    group: int | None = None  # near-duplicates share a number
    also: tuple[str, ...] = ()  # labels that fit too


COLUMNS = tuple(field.name for field in fields(Row))


def rows(
    decisions: Decisions,
    skipped: Iterable[Skipped],
    targets: Mapping[str, str],
    digests: Sequence[bytes],
    near_duplicates: Sequence[Sequence[int]] = (),
    also: Sequence[tuple[str, ...]] | None = None,
) -> Iterator[Row]:
    """Pictures in the order of `decisions`, then the skipped. `digests[i]` and `also[i]` are those
    of picture i, and a group of near-duplicates lists such i."""
    group = {i: number for number, rows in enumerate(near_duplicates, 1) for i in rows}
    for i, (decision, digest) in enumerate(zip(decisions, digests, strict=True)):
        yield Row(
            path=decision.picture.path,
            label=decision.label,
            top_label=decision.top_label,
            probability=float(decision.probability),
            margin=float(decision.margin),
            confidence=decision.confidence,
            reason=decision.reason,
            top=tuple((name, float(probability)) for name, probability in decision.top),
            looks_like=decision.looks_like,
            target=targets.get(decision.picture.path),
            size=decision.picture.size,
            digest=digest.hex(),
            group=group.get(i),
            also=also[i] if also else (),
        )
    for skip in skipped:
        yield Row(skip.path, None, None, None, None, None, skip.reason)


def line(row: Row) -> str:
    """The row as one line of JSON, ASCII only: no line break, and no character that is cut in two.

    Probabilities keep five decimals: more would claim a precision that no model has.
    """
    record: dict[str, object] = {
        name: round(value, 5) if isinstance(value, float) else value
        for name, value in ((name, getattr(row, name)) for name in COLUMNS)
    }
    record["top"] = [[name, round(probability, 5)] for name, probability in row.top]
    record |= file_versions.RESULTS.header
    return json.dumps(record, separators=(",", ":"))


def write_jsonl(rows: Iterable[Row], path: str) -> None:
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.writelines(line(row) + "\n" for row in rows)


def writing(rows: Iterable[Row], jsonl: str, table: str) -> Iterator[Row]:
    """The rows, each of which is written into both files on its way, as `write_jsonl` and
    `write_csv` do: making a row takes longer than writing it."""
    with open(jsonl, "w", encoding="ascii", newline="\n") as lines, _open_csv(table) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            lines.write(line(row) + "\n")
            writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])
            yield row


def read_jsonl(path: str) -> Iterator[Row]:
    """Rows as they were written. Fields of a later version of zeroshelf are passed over."""
    try:
        file = open(path, encoding="ascii")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    with file:
        for text in file:
            try:
                record = json.loads(text)
                file_versions.RESULTS.check(path, record)
                record["top"] = tuple((name, probability) for name, probability in record["top"])
                record["also"] = tuple(record.get("also", ()))
                row = Row(**{name: record[name] for name in COLUMNS if name in record})
            except (ValueError, KeyError, TypeError, AttributeError) as trouble:
                raise UserError(f"{path} contains an invalid row ({trouble}): sort again") from None
            yield row


def write_csv(rows: Iterable[Row], path: str) -> None:
    """For a spreadsheet: no cell is a formula, whatever a label or a file name begins with."""
    with _open_csv(path) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])


def _open_csv(path: str) -> TextIO:
    errors = sys.getfilesystemencodeerrors()  # Windows' lone surrogates stand for no bytes
    return open(path, "w", encoding="utf-8", errors=errors, newline="")


def _cell(value: object) -> object:
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, tuple):
        value = "; ".join(
            one if isinstance(one, str) else f"{one[0]} {one[1]:.3f}" for one in value
        )
    # what OWASP lists under "CSV injection", the full-width forms included
    if isinstance(value, str) and value.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")):
        return "'" + value
    return value
