"""Embeds the bank once for the model that is shipped: `python -m benchmarks.accuracy.make_texts`.

A newcomer's first run would spend seconds on it. To be rerun when the starter or the bank changes
(tests/test_embeddings.py says so).
"""

from __future__ import annotations

import numpy as np

from zeroshelf import models
from zeroshelf.embeddings import BANK_TEXTS
from zeroshelf.words.bank import bank


def main() -> None:
    model = models.find("starter")
    texts = list(dict.fromkeys(negative.prompt for negative in bank()))
    vectors = models.load(model).embed_texts(texts)
    np.savez(
        BANK_TEXTS,
        digest=np.array(model.digest),
        texts=np.array(texts),
        vectors=vectors.astype(np.float16),
    )
    print(f"{len(texts)} texts in {BANK_TEXTS}")


if __name__ == "__main__":
    main()
