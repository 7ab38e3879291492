"""The exceptions of zeroshelf, all under `ZeroshelfError`. Each message is one line.

ZeroshelfError
    UserError           what the caller can correct
        ArgumentError       an argument of another type or value than wanted
        MissingPackage      an optional package is not installed
        NothingToSort       earlier runs have sorted every picture
    Unreadable          a picture that can't be used
"""

import unicodedata


def printable(text: str) -> str:
    """`text` on one line, control characters escaped: a file name must not control the terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


class ZeroshelfError(Exception):
    """Every exception that zeroshelf raises on purpose; all else is a bug."""

    def __str__(self) -> str:
        """The message, on one line: a path in it may have line breaks and other control characters,
        which are written as their escapes."""
        return printable(super().__str__())


class UserError(ZeroshelfError):
    """An error that the user can correct: one line that says what to do. Exit code 2."""


class ArgumentError(UserError):
    """An argument of a public function has a type or a value that the function can't use."""


class MissingPackage(UserError):
    """What was asked for needs an optional package; the message has the command to install it."""


class NothingToSort(UserError):
    """No picture is left to sort, because earlier runs have sorted them all. Exit code 0."""


class Unreadable(ZeroshelfError):
    """A picture that can't be used; its message becomes the reason of a `Skipped`."""


def one_line(error: BaseException) -> str:
    """An error's message for a line of ours."""
    return " ".join(str(error).split())[:200] or type(error).__name__
