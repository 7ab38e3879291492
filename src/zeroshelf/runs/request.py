"""What was asked, kept in a run's record as question.json, so that a run can be opened again."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

from zeroshelf.errors import UserError
from zeroshelf.records import Label, LabelSet, Question
from zeroshelf.system import file_versions


def save(record: str, question: Question) -> None:
    with open(os.path.join(record, "question.json"), "w", encoding="ascii") as file:
        json.dump(file_versions.REQUEST.header | asdict(question), file, indent=1)


def load(record: str) -> Question:
    """Raises `UserError` where the record holds no question, or one of another version."""
    path = os.path.join(record, "question.json")
    try:
        with open(path, encoding="ascii") as file:
            given = json.load(file)
        file_versions.REQUEST.check(path, given)
        given.pop(file_versions.REQUEST.key, None)
        labels = _tuples(given["labels"])
        labels["labels"] = tuple(Label(**_tuples(label)) for label in labels["labels"])
        given["labels"] = LabelSet(**labels)
        return Question(**given)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as trouble:
        raise UserError(f"{path} can't be used ({trouble}): sort the folder again") from None


def _tuples(given: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no tuples: lists become what they were."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
