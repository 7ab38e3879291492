"""Counts and sizes in messages: "1 picture", "1,204 pictures", "3.1 MB"."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """`count` with the words that go with it.

    `one` follows a count of 1, `many` every other; without `many` it is `one` with an "s".

    >>> counted(1, "picture"), counted(0, "picture is", "pictures are"), counted(1204, "file")
    ('1 picture', '0 pictures are', '1,204 files')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def megabytes(size: int) -> str:
    """`size` in bytes -> megabytes of a million bytes, with one decimal.

    >>> megabytes(3_140_000)
    '3.1 MB'
    """
    return f"{size / 1e6:.1f} MB"
