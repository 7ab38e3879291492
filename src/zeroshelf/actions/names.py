"""What shelves, pictures and their companions are called: a label as a folder's name, and the next
free names for a picture and the files that follow it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from zeroshelf.images import pairs_and_sidecars
from zeroshelf.system.file_names import (
    Rules,
    key,
    numbered,
    numbered_in_front,
    of_folder,
    portable,
)


def shelf(label: str) -> str:
    """The folder of a label, below the destination. "/" in a label makes nested folders.

    >>> shelf("animals/cat"), shelf("../../etc"), shelf("con"), shelf("a: b?")
    ('animals/cat', '_/_/etc', 'con_', 'a_ b_')
    """
    parts = [of_folder(part) for part in label.split("/") if part.strip()]
    return os.sep.join(parts) if parts else "_"


def of_unit(sources: Sequence[str], name: str, rules: Rules) -> list[str]:
    """The names of a picture and its companions once the picture is called `name`: each differs
    from the others, and the rules hold for all. `sources`: their names now, the picture's first."""
    made = [name]
    taken = {key(name)}
    for source in sources[1:]:
        wanted = portable(pairs_and_sidecars.renamed(source, sources[0], name), rules)
        free = (n for _, n in numbered(wanted, limit=rules.longest) if key(n) not in taken)
        made.append(next(free))
        taken.add(key(made[-1]))
    return made


def free_for_unit(
    sources: Sequence[str],
    wanted: str,
    is_free: Callable[[str], bool],
    rules: Rules,
    first: int = 1,
) -> tuple[int, list[str]]:
    """The first number, from `first` on, under which a picture that shall be called `wanted` and
    its companions all find free names; and those names. `sources` as in `of_unit`."""
    length = len(os.fsencode(sources[0]))
    longer = max(len(os.fsencode(source)) - length for source in sources)  # than the picture's
    limit = max(rules.longest - longer, rules.longest // 2)
    wanted = portable(wanted, rules)
    unnumbered = of_unit(sources, wanted, rules)
    for number, name in numbered(wanted, first, limit):
        made = unnumbered if name == wanted else _under(name, sources, unnumbered, is_free, rules)
        if all(is_free(one) for one in made):
            return number, made
        if number > 1 and any(
            _stem(one) == _stem(before) and not is_free(one)
            for one, before in zip(made[1:], unnumbered[1:], strict=True)
        ):
            break  # of PXL_1.MP.jpg and PXL_1.MP, all would wait for PXL_1 (2) forever
    for number, name in numbered_in_front(wanted, max(2, first), limit):
        made = _under(name, sources, unnumbered, is_free, rules)
        if all(is_free(one) for one in made):
            return number, made
    raise AssertionError("numbers never end")


def _under(
    name: str,
    sources: Sequence[str],
    unnumbered: Sequence[str],
    is_free: Callable[[str], bool],
    rules: Rules,
) -> list[str]:
    """The names of a picture that gets a number, as `name` has it, and of its companions."""
    made = of_unit(sources, name, rules)
    for i in range(1, len(made)):
        # A companion whose name doesn't follow the picture's would wait for its own name forever.
        if made[i] == unnumbered[i]:
            others = {key(one) for one in made[:i] + made[i + 1 :]}
            tries = (n for _, n in numbered(made[i], limit=rules.longest) if key(n) not in others)
            made[i] = next(n for n in tries if is_free(n))
    return made


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]
