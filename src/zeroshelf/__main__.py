"""`python -m zeroshelf` and the `zeroshelf` script."""

import gc
import os
import sys

from zeroshelf.commands.cli import main as run

# Objects that are made before the first search for cycles. A command makes some 100,000 while it
# imports and reads its data and keeps nearly all: Python's own 700 cost a tenth of a second.
COLLECT_EVERY = 100_000


def main() -> None:
    gc.set_threshold(COLLECT_EVERY)
    # Blocks of pictures are computed in threads of our own (decisions/blocks.py). NumPy's OpenBLAS
    # would divide each product among threads too, which wait for each other by turning: on a busy
    # machine that takes twenty times the processor time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(run())


if __name__ == "__main__":
    main()
