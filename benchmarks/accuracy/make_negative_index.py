"""Write data/negative_labels/negatives-index.tsv.gz, the index of the negative labels.

    python -m benchmarks.accuracy.make_negative_index

Run again after the negative labels or the WordNet extract have changed; tests/test_senses.py tells.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import zeroshelf
from zeroshelf.labels import negative_index


def main() -> None:
    lines = [negative_index.digest_line(), *negative_index.index_lines()]
    text = "".join(f"{line}\n" for line in lines)
    home = Path(zeroshelf.__file__).parent / "data" / "negative_labels"
    (home / negative_index.FILE).write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
