"""Choose the cohort: the negative labels that stand for all of them where not all are embedded.

    python -m benchmarks.accuracy.make_cohort

Kernel herding (Chen, Welling and Smola, UAI 2010) on the starter's centred text vectors, with the
kernel (x, y) -> LINEAR x.y + (x.y)^2: the mean and the covariance of the chosen texts come near to
those of all, and so do the mean and spread of any text's cosines with them. Run again after the
negative labels or the starter's text tower have changed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import zeroshelf
from zeroshelf.embeddings import compute
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.models import select
from zeroshelf.records import Vectors

SIZE = 256
LINEAR = 4.0  # weight of the mean against the covariance


def herd(vectors: Vectors, size: int) -> list[int]:
    """(B, D) -> `size` rows, in the order in which they were chosen."""
    centred = vectors - vectors.mean(axis=0)
    centred /= np.sqrt((centred**2).sum(axis=1).mean())
    products = centred @ centred.T
    kernel = LINEAR * products + products**2
    mean, sums, chosen = kernel.mean(axis=1), np.zeros(len(vectors)), list[int]()
    for count in range(size):
        gain = mean - sums / (count + 1)
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
        sums += kernel[chosen[-1]]
    return chosen


def main() -> None:
    known = compute.shipped_texts(select.find("starter"))
    prompts = list(dict.fromkeys(one.prompt for one in negative_labels()))
    rows = herd(np.stack([known[prompt] for prompt in prompts]), SIZE)
    folder = Path(zeroshelf.__file__).parent / "data" / "negative_labels"
    text = "".join(f"{prompts[row]}\n" for row in sorted(rows))
    (folder / "cohort.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
