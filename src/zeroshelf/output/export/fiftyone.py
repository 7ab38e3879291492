"""FiftyOne's JSON for image classification: its dataset type FiftyOneImageClassificationDataset,
with absolute paths, so that no picture is copied. Its database takes UTF-8 alone: a picture with
another path, which would end the import of all, is left out."""

from __future__ import annotations

import json

from zeroshelf.output.export.exported import Exported, left_out
from zeroshelf.output.tables import is_utf8, utf8


def write(found: Exported, to: str) -> str:
    rows = [(row, found.place(row)) for row in found.rows()]
    labels = {
        place: {"label": utf8(row.label or ""), "confidence": round(row.probability or 0.0, 5)}
        for row, place in rows
        if is_utf8(place)
    }
    with open(to, "x", encoding="ascii") as file:
        json.dump({"classes": None, "labels": labels}, file, indent=1)
    return (
        "fiftyone.Dataset.from_dir(dataset_type=fiftyone.types.FiftyOneImageClassificationDataset, "
        f"data_path={found.source.run.request.folder!r}, labels_path=...)"
        + left_out(len(rows) - len(labels), "FiftyOne")
    )
