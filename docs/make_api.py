"""Writes docs/api.md from the package itself: `python docs/make_api.py`.

A test compares the two, so that no public name is left undocumented.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zeroshelf

PAGE = Path(__file__).with_name("api.md")
HEAD = """\
# Reference of the Python API

Written from the package's own docstrings by `python docs/make_api.py`. [The guide](python.md) has
examples. Everything here is in `zeroshelf.__all__`; all else may change from version to version.

N is a number of pictures, D the length of a vector, K a number of labels.
"""
_FIELD = re.compile(r"^    [a-z]\w*: .*$")


def functions() -> list[str]:
    return [name for name in zeroshelf.__all__ if not isinstance(getattr(zeroshelf, name), type)]


def classes() -> list[str]:
    names = [name for name in zeroshelf.__all__ if isinstance(getattr(zeroshelf, name), type)]
    return [name for name in names if not issubclass(getattr(zeroshelf, name), BaseException)]


def errors() -> list[str]:
    return [name for name in zeroshelf.__all__ if name not in {*functions(), *classes()}]


def of_function(name: str) -> str:
    found = getattr(zeroshelf, name)
    if isinstance(found, types.ModuleType):  # a module that is called
        home = (
            found
            if hasattr(found, name)
            else __import__(f"{found.__name__}.listing", fromlist=[""])
        )
        found = getattr(home, name)
    return f"### {name}\n\n{signature(name, found)}\n\n{text(found)}\n"


def signature(name: str, function: Any) -> str:
    given = str(inspect.signature(function)).replace("'", "").replace("(self, ", "(")
    given = given.replace("(self)", "()")
    return f"```python\n{name}{given}\n```"


def text(found: Any) -> str:
    return f"```text\n{inspect.getdoc(found)}\n```"


def of_class(name: str) -> Iterator[str]:
    found = getattr(zeroshelf, name)
    yield f"### {name}\n\n{text(found)}\n"
    if lines := list(fields(found)):
        yield "```python\n" + "\n".join(lines) + "\n```\n"
    for owner in reversed(
        [base for base in found.__mro__ if base.__module__.startswith("zeroshelf")]
    ):
        for key, found_there in vars(owner).items():
            if key.startswith("_") and key not in ("__getitem__", "__len__", "__iter__"):
                continue
            member = getattr(found_there, "__func__", found_there)  # of a class method
            if isinstance(member, types.FunctionType) and inspect.getdoc(member):
                yield f"{signature(f'{name}.{key}', member)}\n\n{text(member)}\n"
            elif inspect.isdatadescriptor(member) or hasattr(member, "func"):
                documented = getattr(member, "func", None) or member
                if inspect.getdoc(documented) and not inspect.ismemberdescriptor(member):
                    yield f"`{name}.{key}`\n\n{text(documented)}\n"


def fields(found: type) -> Iterator[str]:
    """The public fields of a dataclass as they are declared, with their comments."""
    if not hasattr(found, "__dataclass_fields__"):
        return
    body = inspect.getsource(found).splitlines()
    for at, line in enumerate(body):
        if _FIELD.match(line):
            yield line.strip()
            if line.rstrip().endswith("("):  # a default and its comment on lines of their own
                yield from (more.strip() for more in body[at + 1 : at + 3])


def page() -> str:
    parts = [HEAD, "## Functions\n", *map(of_function, functions()), "## Types\n"]
    for name in classes():
        parts += of_class(name)
    parts.append("## Errors\n")
    parts += [f"### {name}\n\n{text(getattr(zeroshelf, name))}\n" for name in errors()]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
