"""The request of a run, stored in the run's record as request.json: `reopen` starts from it.

Version 0.1.0 wrote question.json, without a version. It is still read. The new name makes 0.1.0
refuse to reopen the records of later versions instead of opening them without their corrections.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

from zeroshelf.errors import UserError
from zeroshelf.records import Label, LabelSet, Request
from zeroshelf.system import file_versions

_NAME, _NAME_OF_0_1 = "request.json", "question.json"


def save(record: str, request: Request) -> None:
    """Write `request` into the folder `record`. Raises `OSError`."""
    with open(os.path.join(record, _NAME), "w", encoding="ascii") as file:
        json.dump(file_versions.REQUEST.header | asdict(request), file, indent=1)


def load(record: str) -> Request:
    """The request in the folder `record`. Raises `UserError` if it is missing, damaged or written
    by a later version."""
    path = os.path.join(record, _NAME)
    if not os.path.exists(path) and os.path.exists(old := os.path.join(record, _NAME_OF_0_1)):
        path = old
    try:
        with open(path, encoding="ascii") as file:
            given = json.load(file)
        file_versions.REQUEST.check(path, given)
        given.pop(file_versions.REQUEST.key, None)
        labels = tuples(given["labels"])
        labels["labels"] = tuple(Label(**tuples(label)) for label in labels["labels"])
        given["labels"] = LabelSet(**labels)
        return Request(**given)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as trouble:
        raise UserError(f"{path} can't be used ({trouble}): sort the folder again") from None


def tuples(given: dict[str, Any]) -> dict[str, Any]:
    """`given` with tuples for lists: JSON has no tuples, and the records have no lists."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
