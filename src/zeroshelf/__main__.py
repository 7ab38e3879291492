"""`python -m zeroshelf` and the `zeroshelf` script."""

import gc
import sys

from zeroshelf.commands.cli import main as run

# Objects that are made before the first search for cycles. A command makes some 100,000 while it
# imports and reads its data and keeps nearly all: Python's own 700 cost a tenth of a second.
COLLECT_EVERY = 100_000


def main() -> None:
    gc.set_threshold(COLLECT_EVERY)
    sys.exit(run())


if __name__ == "__main__":
    main()
