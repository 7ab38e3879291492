"""Checks of the arguments of public functions. Each takes a value and its name for messages, and
returns the value as a plain type or raises `ArgumentError` with a message of one line."""

from __future__ import annotations

import contextlib
import numbers
import operator
import os
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from zeroshelf.errors import ArgumentError
from zeroshelf.records import Plan

_SHOWN = 60  # characters of a wrong value in a message
Record = TypeVar("Record")
Item = TypeVar("Item")


def refuse(what: str, wanted: str, value: object) -> ArgumentError:
    """The error for a value that is not what is wanted, on one line whatever the value is."""
    return ArgumentError(f"{what} must be {wanted}, not {described(value)}")


def described(value: object) -> str:
    """A value in a message: numbers and texts as they are written, all else by its type."""
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        with contextlib.suppress(ValueError):  # an int of more digits than Python writes
            written = repr(value)
            return written if len(written) <= _SHOWN else written[: _SHOWN - 4] + " ..."
    return f"an object of type {type(value).__name__}"


def text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise refuse(what, "a text", value)
    return str(value)


def path(value: object, what: str) -> str:
    """A path as `str`. Bytes are refused: `os.fsdecode` makes text of them."""
    try:
        found = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        found = None
    if not isinstance(found, str):
        raise refuse(what, "a path (str or os.PathLike)", value)
    if "\0" in found:
        raise ArgumentError(f"{what} {described(found)} is no path: it contains a NUL character")
    return found


def each(
    value: object,
    what: str,
    one: Callable[[object, str], Item],
    wanted: str = "a list of texts",
) -> list[Item]:
    """The items of any collection, each checked by `one`; `wanted` names the collection in an
    error. A bare text is no collection: its letters are never meant."""
    if isinstance(value, (str, os.PathLike)):
        raise ArgumentError(f"{what}: give a list, not one text: [{described(value)}]")
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        raise refuse(what, wanted, value)
    try:
        items = iter(value)
    except TypeError:  # an array without dimensions
        raise refuse(what, wanted, value) from None
    return [one(item, f"each of {what}") for item in items]


def texts(value: object, what: str) -> list[str]:
    return each(value, what, text)


def paths(value: object, what: str) -> list[str]:
    return each(value, what, path, "a list of paths")


def digest(value: object, what: str) -> bytes:
    """A digest in hex, as bytes."""
    written = text(value, what)
    if not re.fullmatch("([0-9a-fA-F]{2})*", written):
        raise refuse(what, "in hex", value)
    return bytes.fromhex(written)


def probability(value: object, what: str) -> float:
    real: Any = value
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 <= real <= 1:
        return float(value)  # not a NaN, of which no comparison is true
    raise refuse(what, "a number from 0 to 1", value)


def threshold(value: object) -> float | None:
    """The least probability of a label; None: the model's own decision."""
    return None if value is None else probability(value, "threshold")


def count(value: object, what: str) -> int:
    """A whole number from 0 on."""
    try:
        found = -1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        found = -1
    if found < 0:
        raise refuse(what, "a whole number from 0 on", value)
    return found


def whole(value: object, what: str) -> int:
    """A whole number, also below 0."""
    try:
        if not isinstance(value, bool):
            return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise refuse(what, "a whole number", value)


def flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise refuse(what, "True or False", value)
    return value


def function(value: object, what: str) -> None:
    """A callable, or None."""
    if value is not None and not callable(value):
        raise refuse(what, "a function or None", value)


def choice(value: object, what: str, allowed: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(f"{what}: {described(value)} is none of {', '.join(allowed)}")


def plan(value: object) -> Plan:
    """A plan that can be carried out as far as types tell: every path is absolute."""
    found = record(value, Plan, "the plan")
    every = [found.folder, found.destination]
    for action in found.actions:
        every += (action.source, action.target)
    for one in every:
        if not os.path.isabs(path(one, "a path of the plan")):
            raise ArgumentError(f"the plan: the path {described(one)} is not absolute")
    return found


def encoder(value: object, *, optional: bool = True) -> None:
    """What has both towers of `records.Encoder`, or None if it is optional. Its properties are not
    read: the batch size opens the model."""
    if value is None and optional:
        return
    towers = (getattr(type(value), name, None) for name in ("embed_pictures", "embed_texts"))
    if not all(map(callable, towers)):
        or_none = "an Encoder (zeroshelf.records) or None"
        wanted = or_none if optional else "an Encoder, as load_model returns it"
        raise refuse("encoder", wanted, value)


def instance(value: object, kind: type, what: str) -> None:
    if not isinstance(value, kind):
        raise refuse(what, f"a {kind.__name__}", value)


def mapping(value: object, what: str, wanted: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise refuse(what, wanted, value)
    return value


def record(value: object, kind: type[Record], what: str) -> Record:
    """A dataclass of zeroshelf.records whose fields, and theirs, have the types they are declared
    with. The message names the first field that has not."""
    if not isinstance(value, kind):
        raise refuse(what, f"a {kind.__name__}", value)
    named: Any = kind  # mypy takes no type variable for hashable
    for name, fits, hint in _fields(named):
        found = getattr(value, name)
        if fits(found):
            continue
        where = f"{what}: {name}"
        inner = next((one for one in get_args(hint) if is_dataclass(one)), None)
        if inner is not None and _is_sequence(found):
            for number, one in enumerate(found):
                record(one, inner, f"{where}[{number}]")  # type: ignore[arg-type]
        raise refuse(where, _said(hint), found)
    return value


_Fits = Callable[[object], bool]
_NUMBERS: Mapping[object, tuple[type, ...]] = {int: (int,), float: (int, float)}


@lru_cache(maxsize=32)
def _fields(kind: Any) -> tuple[tuple[str, _Fits, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((f.name, _fitting(hints[f.name]), hints[f.name]) for f in fields(kind))


def _fitting(hint: Any) -> _Fits:
    """Whether a value has a type of those that records use."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint in _NUMBERS:
        return lambda value: isinstance(value, _NUMBERS[hint]) and not isinstance(value, bool)
    if origin in (Union, types.UnionType):
        options = [_fitting(one) for one in inner]
        return lambda value: any(fits(value) for fits in options)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in inner
    if origin is Sequence or (origin is tuple and inner[-1] is Ellipsis):
        item = _fitting(inner[0])
        is_one = _is_sequence if origin is Sequence else _is_tuple

        def all_fit(value: Any) -> bool:
            return is_one(value) and all(map(item, value))

        return all_fit
    if is_dataclass(hint):
        return partial(_is_record, kind=hint)
    plain = hint if isinstance(hint, type) else object
    return lambda value: isinstance(value, plain)


def _is_tuple(value: Any) -> bool:
    return isinstance(value, tuple)


def _is_sequence(value: Any) -> bool:
    """A tuple, or what stands for one; a list may change."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, list))


def _is_record(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and all(
        fits(getattr(value, name)) for name, fits, _ in _fields(kind)
    )


def _said(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    said = str(hint.__name__ if isinstance(hint, type) and not get_args(hint) else hint)
    return re.sub(r"\bzeroshelf\.records\.\w+\.", "", said)
