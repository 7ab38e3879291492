"""The table of the app's addresses as OpenAPI 3.1, which the app answers at /openapi.json."""

from __future__ import annotations

from typing import Any

from zeroshelf import __version__
from zeroshelf.app.operations import OPERATIONS, Operation, Schema

# of JSON Schema, all that is used
_KEYWORDS = frozenset((
    "type", "maxLength", "minLength", "pattern", "enum", "minimum", "maximum", "items", "maxItems",
    "maxProperties", "additionalProperties", "default", "description",
))  # fmt: skip


def described() -> dict[str, Any]:
    """The whole description, to become JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "zeroshelf app",
            "version": __version__,
            "description": (
                "Served on 127.0.0.1 below the secret address that `zeroshelf app` prints. A job "
                "goes on in the background; GET /state says how far it is."
            ),
        },
        "servers": [{"url": "."}],
        "paths": paths,
    }


def _operation(one: Operation) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _anchored(schema)}
        for name, schema in one.parts.items()
    ] + [
        {
            "name": name,
            "in": "query",
            "required": "default" not in schema,
            "schema": _anchored(schema),
        }
        for name, schema in one.query.items()
    ]
    error = {"application/json": {"schema": {"type": "object", "required": ["error"]}}}
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "responses": {
            "200": {"description": "done", "content": {one.answer: {}}},
            "400": {"description": "not understood", "content": error},
            "403": {"description": "the address has no valid token, or another page asks"},
            "409": {"description": "refused, with the reason", "content": error},
        },
    }
    if parameters:
        described["parameters"] = parameters
    if one.method == "POST":
        required = [name for name, schema in one.body.items() if "default" not in schema]
        described["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {n: _anchored(s) for n, s in one.body.items()},
                        "required": required,
                        "additionalProperties": False,
                    }
                }
            },
        }
    return described


def _anchored(schema: Schema) -> dict[str, Any]:
    """JSON Schema searches for a pattern; here the whole text has to match."""
    assert schema.keys() <= _KEYWORDS
    found = dict(schema)
    if "pattern" in found:
        found["pattern"] = f"^({found['pattern']})$"
    return found
