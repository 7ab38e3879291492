"""Embeds the bank once for the model that is shipped: `python -m benchmarks.accuracy.make_texts`.

A newcomer's first run would spend seconds on it. Writes texts.npz into the model's folder; to be
rerun when the model or the bank changes (tests/test_embeddings.py says so).
"""

from __future__ import annotations

import argparse

import numpy as np

from zeroshelf import models
from zeroshelf.bank import bank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="starter")
    model = models.find(parser.parse_args().model)
    texts = list(dict.fromkeys(negative.prompt for negative in bank()))
    vectors = models.load(model).embed_texts(texts)
    np.savez_compressed(
        model.folder / "texts.npz",
        digest=np.array(model.digest),
        texts=np.array(texts),
        vectors=vectors.astype(np.float16),
    )
    print(f"{len(texts)} texts of {model.id} in {model.folder / 'texts.npz'}")


if __name__ == "__main__":
    main()
