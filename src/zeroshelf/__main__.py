"""`python -m zeroshelf` and the `zeroshelf` script."""

import sys

from zeroshelf.commands.cli import main as run


def main() -> None:
    sys.exit(run())


if __name__ == "__main__":
    main()
