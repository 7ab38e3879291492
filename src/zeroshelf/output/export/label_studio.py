"""Label Studio's tasks with predictions: a person corrects there what the model decided.

Pictures are named as Label Studio's local files: by their path below the folder that its variable
LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT names.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from zeroshelf.output.export.exported import Exported
from zeroshelf.output.results import Row
from zeroshelf.output.tables import utf8


def write(found: Exported, to: str) -> str:
    rows = [(row, found.place(row)) for row in found.rows()]
    folders = [os.path.dirname(place) for _, place in rows]
    root = os.path.commonpath(folders) if folders else found.source.run.request.folder
    with open(to, "x", encoding="ascii") as file:
        json.dump([_task(row, place, root, found) for row, place in rows], file, indent=1)
    return (
        f"start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={root}; labelling interface: {_interface(found)}"
    )


def _task(row: Row, place: str, root: str, found: Exported) -> dict[str, Any]:
    below = os.path.relpath(place, root).replace(os.sep, "/")
    result = {
        "from_name": "label",
        "to_name": "image",
        "type": "choices",
        "value": {"choices": [row.label]},
    }
    return {
        "data": {"image": f"/data/local-files/?d={quote(os.fsencode(below))}"},
        "predictions": [
            {
                "model_version": f"zeroshelf/{found.source.run.model.id}",
                "score": round(row.probability or 0.0, 5),
                "result": [result],
            }
        ],
    }


def _interface(found: Exported) -> str:
    """The labelling interface that the predictions are for, in Label Studio's XML."""
    choices = "".join(
        f"<Choice value={quoteattr(utf8(name))}/>" for name in found.source.run.counts
    )
    return (
        '<View><Image name="image" value="$image"/>'
        f'<Choices name="label" toName="image">{choices}</Choices></View>'
    )
