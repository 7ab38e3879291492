"""What a shipped model says of the bank and of the golden dozen, kept beside it:
`python -m benchmarks.accuracy.make_texts [--model DIR]`.

A newcomer's first run would spend seconds on the bank; `zeroshelf models verify starter` compares
with the dozen. To be rerun when the starter or the bank changes (tests/test_embeddings.py and
tests/test_models.py say so).
"""

from __future__ import annotations

import argparse

import numpy as np

from zeroshelf.embeddings.compute import TEXT_VECTORS
from zeroshelf.labels.negative_labels import bank
from zeroshelf.models import golden, select


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="starter", help="its folder")
    model = select.find(parser.parse_args().model)
    texts = list(dict.fromkeys(negative.prompt for negative in bank()))
    encoder = select.load(model, device="cpu")
    vectors = encoder.embed_texts(texts)
    np.savez(
        model.folder / TEXT_VECTORS,
        digest=np.array(model.digest),
        texts=np.array(texts),
        vectors=vectors.astype(np.float16),
    )
    print(f"{len(texts)} texts in {model.folder / TEXT_VECTORS}")
    golden.save(model.folder, *golden.embed(encoder))
    print(f"the golden dozen in {model.folder / golden.FILE}")


if __name__ == "__main__":
    main()
