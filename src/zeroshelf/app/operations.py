"""The app's HTTP API: one `Operation` for each address. Requests are checked by this table, and
/openapi.json is made of it (app/openapi.py), so that neither can differ from the other.

Values are described by JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zeroshelf.actions import kinds
from zeroshelf.records import LABEL_ONLY

Schema = Mapping[str, Any]
Given = dict[str, Any]

PATH: Schema = {"type": "string", "minLength": 1, "maxLength": 4096, "description": "absolute"}
RUN_ID: Schema = {"type": "string", "pattern": r"\d{8}-\d{6}-[0-9a-f]{4}"}
REPORT_PAGE: Schema = {"type": "string", "pattern": r"page-\d{4,9}\.html"}
DIGEST: Schema = {"type": "string", "pattern": "[0-9a-f]{64}", "description": "BLAKE3 in hex"}
MODEL_ID: Schema = {"type": "string", "pattern": r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"}
LABEL: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
LABELS: Schema = {
    "type": "object",
    "maxProperties": 200,
    "additionalProperties": {"type": "array", "items": LABEL, "maxItems": 100},
    "description": "label -> other words for it, in the order of the shelves",
}
ACTION: Schema = {"type": "string", "enum": [*kinds.offered()]}
NO: Schema = {"type": "boolean", "default": False}


@dataclass(frozen=True, slots=True)
class Operation:
    """One address and what may be asked of it."""

    name: str  # of the method that answers; the operationId
    method: Literal["GET", "POST"]
    path: str  # "/runs/{id}"
    summary: str
    parts: Mapping[str, Schema] = field(default_factory=dict)  # parameters in the path
    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Mapping[str, Schema] = field(default_factory=dict)  # fields of the JSON object
    answer: str = "application/json"


_RUN = {"id": RUN_ID}
OPERATIONS = (
    Operation("state", "GET", "/state", "What is open, and how far each job is."),
    Operation(
        "folders",
        "GET",
        "/folders",
        "The folders in a folder; without a path, in the first allowed one.",
        query={"path": {**PATH, "minLength": 0, "default": ""}},
    ),
    Operation("open", "POST", "/open", "Open a folder and look through it.", body={"path": PATH}),
    Operation("close_folder", "POST", "/close", "Close the folder. Its labels are remembered."),
    Operation(
        "forget", "POST", "/forget", "Remove a folder from the recent ones.", body={"path": PATH}
    ),
    Operation("read", "POST", "/read", "Read the pictures of the open folder."),
    Operation(
        "stop",
        "POST",
        "/stop",
        "End a job at its next step; it can be started again and goes on.",
        body={"kind": {"type": "string", "enum": ["look", "read", "plan", "apply", "undo"]}},
    ),
    Operation(
        "dismiss",
        "POST",
        "/dismiss",
        "Forget a job that has ended.",
        body={
            "kind": {
                "type": "string",
                "enum": ["look", "read", "plan", "apply", "undo", "model", "cache"],
            }
        },
    ),
    Operation("labels", "GET", "/labels", "The labels with their pictures; suggested labels."),
    Operation(
        "set_labels",
        "POST",
        "/labels",
        "Sort by these labels. The answer is that of GET /labels.",
        body={
            "labels": LABELS,
            "closed": {**NO, "description": "every picture fits one of them: none goes to other"},
        },
    ),
    Operation(
        "shelf",
        "GET",
        "/shelf",
        "The pictures of a shelf, the most probable first.",
        query={
            "name": LABEL,
            "start": {"type": "integer", "minimum": 0, "maximum": 10_000_000, "default": 0},
            "count": {"type": "integer", "minimum": 1, "maximum": 200, "default": 60},
        },
    ),
    Operation(
        "thumbnail",
        "GET",
        "/thumbnail/{digest}",
        "A small JPEG of a picture of the open folder.",
        parts={"digest": DIGEST},
        answer="image/jpeg",
    ),
    Operation(
        "actions",
        "GET",
        "/actions",
        "What can be done with the pictures of the open folder, and where their shelves would go.",
    ),
    Operation(
        "plan",
        "POST",
        "/plan",
        "Make the plan for the open folder and its labels: a run. No picture is touched.",
        body={
            "action": ACTION,
            "destination": {**PATH, "minLength": 0, "default": ""},
            "shelf_path": {
                "type": "string",
                "maxLength": 200,
                "default": LABEL_ONLY,
                "description": "where a shelf lies below the destination: {label}/{year}",
            },
            "ambiguous": {
                "type": "string",
                "maxLength": 100,
                "default": "",
                "description": "a shelf for pictures that two labels fit about equally",
            },
            "several": {**NO, "description": "onto every shelf that fits, not only the best"},
            "keep_earlier": {**NO, "description": "leave what earlier runs put on other shelves"},
            "in_files": {**NO, "description": "tags into the pictures' own files, by exiftool"},
        },
    ),
    Operation(
        "untag",
        "POST",
        "/untag",
        "Make a plan that removes the tags which earlier runs wrote in the open folder: a run.",
        body={"in_files": NO},
    ),
    Operation(
        "runs",
        "GET",
        "/runs",
        "The newest runs, newest first.",
        query={"count": {"type": "integer", "minimum": 1, "maximum": 200, "default": 200}},
    ),
    Operation("run", "GET", "/runs/{id}", "What a run will do or did.", parts=_RUN),
    Operation(
        "report",
        "GET",
        "/runs/{id}/report.html",
        "The report of a run, with the edits of its review.",
        parts=_RUN,
        answer="text/html",
    ),
    Operation(
        "table",
        "GET",
        "/runs/{id}/results.csv",
        "The decisions of a run as a table for a spreadsheet.",
        parts=_RUN,
        answer="text/csv",
    ),
    Operation(
        "prune_runs",
        "POST",
        "/runs/prune",
        "Delete the records of all runs that were undone or never carried out.",
    ),
    Operation(
        "apply",
        "POST",
        "/runs/{id}/apply",
        "Carry out the plan of a run, by another action if one is given.",
        parts=_RUN,
        body={"action": {**ACTION, "enum": ["", *ACTION["enum"]], "default": ""}},
    ),
    Operation("undo", "POST", "/runs/{id}/undo", "Put everything back.", parts=_RUN),
    Operation(
        "remove_run",
        "POST",
        "/runs/{id}/remove",
        "Delete the record of a run that was undone or never carried out.",
        parts=_RUN,
    ),
    Operation("models", "GET", "/models", "All models: which are here, which is better."),
    Operation(
        "model_offer",
        "GET",
        "/models/{id}/offer",
        "Ask the hub how large a model is, and for its licence.",
        parts={"id": MODEL_ID},
    ),
    Operation(
        "get_model",
        "POST",
        "/models/{id}/get",
        "Download a model, or go on with a download that was cut off.",
        parts={"id": MODEL_ID},
        body={"licence": {"type": "string", "maxLength": 500, "description": "as offered"}},
    ),
    Operation(
        "use_model",
        "POST",
        "/models/{id}/use",
        "Use this model.",
        parts={"id": MODEL_ID},
    ),
    Operation(
        "remove_model",
        "POST",
        "/models/{id}/remove",
        "Delete a model's files, or an unfinished download.",
        parts={"id": MODEL_ID},
    ),
    Operation("cache", "GET", "/cache", "How large the cache is."),
    Operation(
        "clear_cache",
        "POST",
        "/cache/clear",
        "Remove what no run used for so many days; 0: everything.",
        body={"days": {"type": "integer", "minimum": 0, "maximum": 100_000}},
    ),
    Operation("quit", "POST", "/quit", "End the app."),
    Operation("openapi", "GET", "/openapi.json", "This description."),
)


def check(fields: Mapping[str, Schema], given: object) -> Given:
    """The values of `fields` in the JSON object `given`, with defaults for those that are missing.
    Raises `ValueError` for what is missing, unknown or does not fit its schema."""
    if not isinstance(given, dict):
        raise ValueError("give a JSON object")
    if unknown := given.keys() - fields.keys():
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    found = {}
    for name, schema in fields.items():
        if name in given:
            found[name] = _checked(schema, given[name], name)
        elif "default" in schema:
            found[name] = schema["default"]
        else:
            raise ValueError(f"{name} is missing")
    return found


def from_text(fields: Mapping[str, Schema], given: Mapping[str, str]) -> Given:
    """As `check`, for values of an address, which are texts."""
    typed: Given = dict(given)
    for name, text in given.items():
        if fields.get(name, {}).get("type") == "integer" and re.fullmatch("[0-9]{1,9}", text):
            typed[name] = int(text)
    return check(fields, typed)


def _checked(schema: Schema, value: Any, name: str) -> Any:
    match schema["type"]:
        case "string":
            fits = isinstance(value, str) and _text_fits(schema, value)
        case "integer":
            fits = type(value) is int and schema["minimum"] <= value <= schema["maximum"]
        case "boolean":
            fits = isinstance(value, bool)
        case "array":
            fits = isinstance(value, list) and len(value) <= schema["maxItems"]
            for one in value if fits else ():
                _checked(schema["items"], one, f"each of {name}")
        case "object":
            fits = isinstance(value, dict) and len(value) <= schema["maxProperties"]
            for key, one in value.items() if fits else ():
                _checked(schema["additionalProperties"], one, f"{name}: {key[:40]}")
        case other:
            raise AssertionError(other)
    if not fits:
        raise ValueError(f"{name} does not fit its description in /openapi.json")
    return value


def _text_fits(schema: Schema, text: str) -> bool:
    if "pattern" in schema:
        return re.fullmatch(schema["pattern"], text, re.ASCII) is not None
    if "enum" in schema:
        return bool(text in schema["enum"])
    return bool(schema.get("minLength", 0) <= len(text) <= schema["maxLength"])
