"""URIs of folders and objects on an object store, beside the paths of this machine."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+)://")  # two letters: "C:" is a drive


def scheme_of(uri: str) -> str:
    """ "s3" of "s3://bucket"; "" of a path, also of one that begins with a drive's letter."""
    found = _SCHEME.match(uri)
    return found[1].lower() if found else ""


def is_uri(name: str) -> bool:
    """True for the URI of something that is not on this machine's file systems."""
    return scheme_of(name) not in ("", "file")


def below(folder: str, name: str) -> str:
    """The URI of `name` in the folder of that URI."""
    return f"{folder.rstrip('/')}/{name}" if not folder.endswith("://") else folder + name


def is_inside(uri: str, folder: str) -> bool:
    """True for a URI strictly below that of a folder."""
    return uri.startswith(below(folder, "")) and uri != folder


def overlap(one: str, other: str) -> bool:
    """True where one of two folders on a store is the other or lies below it."""
    return one == other or is_inside(one, other) or is_inside(other, one)


def common_folder(one: str, other: str) -> str:
    """The URI of the deepest folder that both lie below: "s3://bucket/photos"; "s3://" for two
    buckets."""
    scheme, _, rest = one.partition("://")
    parts, others = rest.split("/"), other.partition("://")[2].split("/")
    same = 0
    for mine, theirs in zip(parts[:-1], others[:-1], strict=False):
        if mine != theirs:
            break
        same += 1
    return f"{scheme}://" + "/".join(parts[:same])
