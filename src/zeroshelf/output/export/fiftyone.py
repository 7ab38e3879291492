"""FiftyOne's JSON for image classification: its dataset type FiftyOneImageClassificationDataset,
with absolute paths, so that no picture is copied."""

from __future__ import annotations

import json

from zeroshelf.output.export.exported import Exported


def write(found: Exported, to: str) -> str:
    labels = {
        found.place(row): {"label": row.label, "confidence": round(row.probability or 0.0, 5)}
        for row in found.rows()
    }
    with open(to, "x", encoding="ascii") as file:
        json.dump({"classes": None, "labels": labels}, file, indent=1)
    return (
        "fiftyone.Dataset.from_dir(dataset_type=fiftyone.types.FiftyOneImageClassificationDataset, "
        f"data_path={found.source.run.request.folder!r}, labels_path=...)"
    )
