"""Immich's published API, as far as zeroshelf uses it: what a request and an answer may be.

The facts are in fixtures/immich_api.json, which make_immich_api.py makes from the published client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FACTS = json.loads((Path(__file__).parent / "fixtures" / "immich_api.json").read_text("utf-8"))
VERSIONS: tuple[str, ...] = tuple(_FACTS["versions"])
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Api:
    """One version, "2.7.5"."""

    def __init__(self, version: str) -> None:
        facts = _FACTS["versions"][version]
        self.operations: dict[str, dict[str, Any]] = facts["operations"]  # "PUT /tags" -> ...
        self.types: dict[str, Any] = facts["types"]

    def faults_of_request(
        self, what: str, ids: Mapping[str, str], query: Mapping[str, str], body: Any
    ) -> list[str]:
        """What of a request the API doesn't describe. ids: those in the path. body: None for none.
        A field more is a fault, too."""
        operation = self.operations[what]
        found = [f for name, id in ids.items() for f in self._value("uuid", id, name)]
        found += self._fields(operation["query"], query, "query", texts=True)
        if (body is None) != (operation["body"] is None):
            return [*found, f"the body must be {operation['body']}"]
        return found + (self._value(operation["body"], body, "body") if body is not None else [])

    def faults_of_answer(self, what: str, answer: Any) -> list[str]:
        """What of an answer the API doesn't describe. None: an answer without a body."""
        type_ = self.operations[what]["answer"]
        if type_ is None or answer is None:
            return [] if type_ is answer else [f"the answer must be {type_}"]
        return self._value(type_, answer, "answer")

    def _value(self, type_: str, value: Any, where: str, text: bool = False) -> list[str]:
        """text: of a query, in which each value is a text."""
        if " | " in type_:
            each = [self._value(one, value, where, text) for one in type_.split(" | ")]
            return [] if [] in each else each[0]
        if type_.endswith("[]"):
            if not isinstance(value, list):
                return [f"{where} must be a list"]
            return [
                fault
                for row, one in enumerate(value)
                for fault in self._value(type_[:-2], one, f"{where}.{row}")
            ]
        if type_ in self.types:
            known = self.types[type_]
            if isinstance(known, list):
                return [] if value in known else [f"{where} must be one of {known}"]
            return self._fields(known, value, where)
        match type_:
            case "string":
                is_right = isinstance(value, str)
            case "uuid":
                is_right = isinstance(value, str) and _UUID.fullmatch(value) is not None
            case "boolean":
                is_right = value in ("true", "false") if text else isinstance(value, bool)
            case "number":
                is_right = isinstance(value, int | float) and not isinstance(value, bool)
            case "null":
                is_right = value is None
            case _:
                raise LookupError(type_)
        return [] if is_right else [f"{where} must be {type_}"]

    def _fields(
        self, known: Mapping[str, str], value: Any, where: str, texts: bool = False
    ) -> list[str]:
        if not isinstance(value, Mapping):
            return [f"{where} must be an object"]
        types = {name.rstrip("?"): type_ for name, type_ in known.items()}
        found = [f"{where}.{name} is not known" for name in value if name not in types]
        found += [
            f"{where}.{name} is missing"
            for name in known
            if not name.endswith("?") and name not in value
        ]
        for name, type_ in types.items():
            if name in value:
                found += self._value(type_, value[name], f"{where}.{name}", texts)
        return found
