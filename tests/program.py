"""The command line, called from tests."""

from __future__ import annotations

from zeroshelf.commands import cli


def command(*words: object) -> int:
    """Run `zeroshelf` with these words; its exit code."""
    return cli.main([str(word) for word in words])
