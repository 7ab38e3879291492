"""Make the files that a shipped model brings along: its vectors of the negative labels, and of
the golden dozen: `python -m benchmarks.accuracy.make_texts [--model DIR]`.

With the first file a first run need not embed the negative labels, which would take seconds;
`zeroshelf models verify starter` compares with the second. Run it again when the starter or the
negative labels change (tests/test_embeddings.py and tests/test_models.py then fail).
"""

from __future__ import annotations

import argparse

import numpy as np

from zeroshelf.embeddings.compute import TEXT_VECTORS
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.models import golden, select


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="starter", help="its folder")
    model = select.find(parser.parse_args().model)
    texts = list(dict.fromkeys(negative.prompt for negative in negative_labels()))
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
