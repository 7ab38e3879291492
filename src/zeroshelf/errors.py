"""The two kinds of trouble that are not bugs. (A picture's own trouble is a `Skipped`.)"""


class UserError(Exception):
    """A mistake that the user can mend: one line that says what to do. Exit code 2."""


class NothingToSort(UserError):
    """No picture is left to sort, because earlier runs have sorted them all. Exit code 0."""


class Unreadable(Exception):
    """A picture that can't be used; its message becomes the reason of a `Skipped`."""
