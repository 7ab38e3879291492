"""The exceptions for errors that are not bugs. A picture that can't be used is a `Skipped`."""


class UserError(Exception):
    """An error that the user can correct: one line that says what to do. Exit code 2."""


class NothingToSort(UserError):
    """No picture is left to sort, because earlier runs have sorted them all. Exit code 0."""


class Unreadable(Exception):
    """A picture that can't be used; its message becomes the reason of a `Skipped`."""
