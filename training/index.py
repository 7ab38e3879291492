"""The index of pictures: one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Picture:
    """`file` is below the pictures folder. `labels` or `captions` may be empty."""

    file: str
    set: str
    split: str  # "train" or "dev"
    labels: tuple[str, ...]
    captions: tuple[str, ...]


def read_index(path: Path) -> list[Picture]:
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Picture(
            row["file"],
            row.get("set", path.parent.name),
            row.get("split", "train"),
            tuple(row.get("labels", ())),
            tuple(row.get("captions", ())),
        )
        for row in rows
    ]
