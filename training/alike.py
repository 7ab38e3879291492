"""What the training pictures that look like a picture are called.

A network that sees a name with one picture, or with ten, learns the picture by heart. So it is
also drawn towards what the picture's neighbours say together, itself left out: a kernel regression
(Nadaraya 1964, Watson 1964) in the trunk's features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import normalize

WIDTH = 0.03  # cosine: how much nearer a picture must be to count e times as much
BLOCK = 1024


def neighbours_words(
    features: torch.Tensor, words: torch.Tensor, rows: Sequence[int]
) -> torch.Tensor:
    """Features (N, F) and the unit words (N, D) of the pictures in `rows` -> unit (N, D). What lies
    outside `rows` is 0 and no picture's neighbour."""
    known = torch.tensor(rows)
    mean, spread = features[known].mean(0), features[known].std(0) + 1e-3
    looks = normalize((features[known] - mean) / spread, dim=-1)
    said = torch.zeros(len(features), words.shape[1])
    for start in range(0, len(known), BLOCK):
        cosines = looks[start : start + BLOCK] @ looks.T
        cosines[torch.arange(len(cosines)), torch.arange(start, start + len(cosines))] = -torch.inf
        weights = (cosines / WIDTH).softmax(-1)
        said[known[start : start + BLOCK]] = normalize(weights @ words[known], dim=-1)
    return said
