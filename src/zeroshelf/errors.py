"""The exceptions of zeroshelf, all under `ZeroshelfError`. Each message is one line.

ZeroshelfError
    UserError           what the caller can correct
        ArgumentError       an argument of another type or value than wanted
        MissingPackage      an optional package is not installed
        NothingToSort       earlier runs have sorted every picture
    Unreadable          a picture that can't be used
"""


class ZeroshelfError(Exception):
    """Every exception that zeroshelf raises on purpose; all else is a bug."""


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
