"""The plan as a file: JSON Lines, a header and one action a line, to be read and edited by hand.

Paths are relative to the header's `folder` and `destination`. All is ASCII: a name that is no
valid UTF-8 keeps its bytes as lone surrogates ("\\udcff").
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from zeroshelf.actions import kinds
from zeroshelf.actions.path_table import PathTable
from zeroshelf.errors import UserError
from zeroshelf.records import LABEL_ONLY, Action, ActionKind, Plan
from zeroshelf.system import file_io, file_names, file_versions, machine, spooled, uris

_LOOK_EVERY = 256  # actions after which a plan that is read again is checked for changes


def save(plan: Plan, path: str, lines: Iterable[str] = ()) -> int:
    """Whole or not at all: written beside, then renamed. lines: further actions as `line` writes
    them. Returns how many of the actions in `plan` are pictures, not companions."""
    beside = path + ".part"
    with open(beside, "w", encoding="ascii") as file:
        header = {
            **file_versions.PLAN.header,
            "folder": plan.folder,
            "destination": plan.destination,
            "kind": plan.kind,
            "prefix": plan.prefix,
            "ambiguous": plan.ambiguous,
            "unsure": plan.unsure,
            "several": plan.several,
            "replace": plan.replace,
            "in_files": plan.in_files,
            "shelf_path": plan.shelf_path,
            "notes": list(plan.notes),
            "left_behind": [os.path.relpath(path, plan.folder) for path in plan.left_behind],
        }
        if plan.endpoint is not None:
            header["endpoint"] = plan.endpoint
        file.write(json.dumps(header) + "\n")
        pictures = 0
        for action in plan.actions:
            file.write(line(action, plan))
            pictures += action.companion_of is None
        file.writelines(lines)
        file.flush()
        file_io.sync_open(file.fileno())
    os.replace(beside, path)
    return pictures


def load(path: str) -> Plan:
    """Raises `UserError` with the line that is wrong. Lines may be removed, moved and given other
    targets below the destination."""
    with _reading(path) as file:
        head = _header(path, next(file, ""))
        return _plan(head, spooled.records(Action, _actions(path, head, file)))


def head(path: str) -> Plan:
    """A plan without its actions, by its first line alone. Raises `UserError` as `load` does."""
    with _reading(path) as file:
        return _plan(_header(path, next(file, "")), ())


def each(path: str) -> Iterator[Action]:
    """The actions of a plan, one after the other, so that memory doesn't grow with it. Raises
    `UserError` as `load` does, once it comes to the line that is wrong."""
    with _reading(path) as file:
        yield from _actions(path, _header(path, next(file, "")), file)


class PlanOnDisk:
    """A plan whose actions are read from its file each time that they are wanted, so that memory
    doesn't grow with it. `plan`: all but the actions. Raises `UserError` where `load` does, when it
    is made; later, if the file has changed since."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._at = self._stamp()
        with _reading(path) as file:
            self._head = _header(path, next(file, ""))
            self.plan = _plan(self._head, ())
            self._count = sum(1 for _ in _actions(path, self._head, file))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Action]:
        with _reading(self.path) as file:
            next(file, "")
            for number, action in enumerate(_actions(self.path, self._head, file, again=True)):
                if number % _LOOK_EVERY == 0:
                    self._check_unchanged()
                yield action
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        if self._stamp() != self._at:
            raise UserError(f"{self.path} has changed while it was carried out: apply it again")

    def _stamp(self) -> tuple[int, int]:
        try:
            at = os.stat(self.path)
        except OSError as error:
            raise UserError(f"{self.path} can't be read: {error.strerror}") from None
        return at.st_size, at.st_mtime_ns


@contextlib.contextmanager
def _reading(path: str) -> Iterator[IO[str]]:
    try:
        with open(path, encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a plan: it is not a text file") from None


def line(action: Action, plan: Plan) -> str:
    """The line of an action in the file of a plan. Of the plan only the folders and the kind are
    used."""
    return json.dumps(_row(action, plan)) + "\n"


def _row(action: Action, plan: Plan) -> dict[str, object]:
    line: dict[str, object] = {
        "target": _relative(action.target, plan.destination),
        "source": _relative(action.source, plan.folder),
        "label": action.label,
        "size": action.size,
        "mtime_ns": action.mtime_ns,
    }
    if action.digest is not None:
        line["digest"] = action.digest.hex()
    if action.companion_of is not None:
        line["companion_of"] = os.path.relpath(action.companion_of, plan.folder)
    if action.kind != plan.kind:
        line |= {"do": action.kind, "made_by": action.made_by, "made_in": action.made_in}
    if action.instead_of is not None:
        line["instead_of"] = action.instead_of
    if action.etag is not None:
        line["etag"] = action.etag
    return line


def _relative(path: str, folder: str) -> str:
    """The path of a file below a folder; of an object on a store its key below the folder's URI;
    without a folder the whole URI."""
    if not uris.is_uri(path):
        if file_names.inside(path, folder) and os.path.normpath(path) == path:
            return path[len(folder.rstrip(os.sep)) + 1 :]  # the same in a tenth of the time
        return os.path.relpath(path, folder)
    return path.removeprefix(uris.below(folder, "")) if folder else path


def _header(path: str, line: str) -> dict[str, Any]:
    try:
        head = json.loads(line)
        if file_versions.PLAN.key not in head:
            raise KeyError
        file_versions.PLAN.check(path, head)
        if head["kind"] not in (known := kinds.plannable()):
            raise UserError(f'{path}, line 1: kind "{head["kind"]}" is none of {", ".join(known)}')
        for key in ("folder", "destination"):
            if not (os.path.isabs(head[key]) or uris.is_uri(head[key])):
                raise UserError(f"{path}, line 1: {key} is not an absolute path")
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a plan: its first line is not a plan's header") from None
    return dict(head)


def _actions(
    path: str, head: dict[str, Any], lines: Iterable[str], *, again: bool = False
) -> Iterator[Action]:
    """The actions of a plan, by the lines below its header. again: the targets were found to
    differ before."""
    seen = None if again else PathTable()
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        action = _action(path, number, line, head)
        if seen is not None:
            in_place = action.target == action.source  # then no name is given to a file
            key = action.target if in_place else file_names.key(action.target)
            if (first := seen.put(key, number)) is not None:
                raise UserError(f"{path}, line {number}: the same target as line {first}")
        yield action


def _action(path: str, number: int, line: str, head: dict[str, Any]) -> Action:
    folder, destination = head["folder"], head["destination"]
    try:
        row = json.loads(line)
        along = row.get("companion_of")
        action = Action(
            kind=_kind(row.get("do", head["kind"]), head["kind"]),
            source=_source(folder, row["source"]),
            target=_below(destination, row["target"]),
            label=str(row["label"]),
            size=int(row["size"]),
            mtime_ns=int(row["mtime_ns"]),
            digest=bytes.fromhex(row["digest"]) if "digest" in row else None,
            companion_of=None if along is None else _below(folder, along),
            made_by=row.get("made_by"),
            made_in=row.get("made_in"),
            instead_of=row.get("instead_of"),
            etag=row.get("etag"),
        )
        kinds.of(action.kind).check_line(action)
    except UserError as error:
        raise UserError(f"{path}, line {number}: {error}") from None
    except KeyError as error:
        raise UserError(f"{path}, line {number}: {error.args[0]} is missing") from None
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"{path}, line {number}: not an action") from None
    return action


def _plan(head: dict[str, Any], actions: Sequence[Action]) -> Plan:
    folder = head["folder"]
    return Plan(
        folder,
        head["destination"],
        head["kind"],
        actions,
        notes=tuple(head.get("notes", ())),
        prefix=str(head.get("prefix", "zeroshelf")),
        ambiguous=head.get("ambiguous"),
        several=bool(head.get("several")),
        replace=bool(head.get("replace", True)),
        in_files=bool(head.get("in_files")),
        left_behind=tuple(os.path.join(folder, path) for path in head.get("left_behind", ())),
        shelf_path=str(head.get("shelf_path", LABEL_ONLY)),
        unsure=head.get("unsure"),
        endpoint=head.get("endpoint"),
    )


def _kind(given: object, plans: ActionKind) -> ActionKind:
    """What one line does: as the plan says, or an action that is part of other plans."""
    parts = [name for name, kind in kinds.KINDS.items() if not kind.plannable]
    for name in (plans, *parts):
        if given == name:
            return name
    either = " nor ".join(f'"{name}"' for name in (plans, *parts))
    raise UserError(f'do is "{given}", which is neither {either}')


def _below(base: str, path: str) -> str:
    if uris.is_uri(base):
        return _target_uri(base, path)
    if "\0" in path or (machine.WINDOWS and ":" in os.path.splitdrive(path)[1]):
        raise UserError(f"{path!a} is not a path")  # "a.jpg:b" would be a stream inside of a.jpg
    full = os.path.normpath(os.path.join(base, path))
    if not file_names.inside(full, base):
        raise UserError(f"{path!a} leads out of {base}")
    return full


def _source(folder: str, path: str) -> str:
    """The source of a line. A key on an object store may have any parts, "" and ".." too."""
    return uris.below(folder, path) if uris.is_uri(folder) and path else _below(folder, path)


def _target_uri(base: str, path: str) -> str:
    """The URI of what a copy makes on an object store: no part of its key may be one that a program
    takes for a way out of its folder."""
    if not path or "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise UserError(f"{path!a} is not the key of an object")
    return uris.below(base, path)
