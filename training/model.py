"""The two towers around the frozen trunk and the frozen text encoder.

Both end in two parts, each of unit length, laid side by side with the weights sqrt(1 - c) and
sqrt(c), c = `concept_share`, so that the cosine of the whole is (1 - c) times the cosine of the
words plus c times that of the concepts.

- Words: the picture is mapped into the text encoder's space, which is left as it is.
- Concepts: a picture is its probabilities of the 1,000 ImageNet classes; a text is how near it
  comes to each class's names. A word that no picture was ever labelled with still finds the classes
  that are called so, or that are a kind of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import normalize

FEATURES, WIDTH, CLASSES = 1280, 384, 1000


class WordHead(nn.Module):
    """Features (B, 1280) and class probabilities (B, 1000) -> unit (B, 384).

    A network's answer plus the classes' own text vectors, weighted by their probabilities (ConSE,
    Norouzi et al. 2014): the network has only to learn what the classes don't say.
    """

    def __init__(self, classes: torch.Tensor, hidden: int, dropout: float) -> None:
        """`classes` (1000, 384): the unit text vector of each class."""
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(FEATURES, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, WIDTH)
        )
        self.register_buffer("classes", classes)

    def forward(self, features: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        return self.beside(features, self.known(probabilities))

    def known(self, probabilities: torch.Tensor) -> torch.Tensor:
        return normalize(probabilities @ self.classes, dim=-1)

    def beside(self, features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return normalize(normalize(self.network(features), dim=-1) + known, dim=-1)


class ImageHead(nn.Module):
    """Features and class logits -> embedding (B, D). Several word heads are averaged."""

    def __init__(
        self, heads: list[WordHead], concept_share: float, weights: Sequence[float] = ()
    ) -> None:
        """`weights`: how much each head counts; all the same without."""
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.share = concept_share
        self.weights = tuple(weights) or (1.0,) * len(heads)

    def forward(self, features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        probabilities = logits.softmax(-1)
        each = zip(self.weights, self.heads, strict=True)
        said = [weight * head(features, probabilities) for weight, head in each]
        words = torch.stack(said).sum(0)
        return side_by_side(words, probabilities, self.share)


class ImageTower(nn.Module):
    """Pixels (B, 3, 260, 260), normalised -> embedding (B, D)."""

    def __init__(self, trunk: nn.Module, head: ImageHead) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(*self.trunk(image))


class Concepts(nn.Module):
    """Text vectors (B, 384) -> exp(greatest cosine to each class's names / tau), (B, 1000)."""

    def __init__(self, names: torch.Tensor, members: torch.Tensor, tau: float) -> None:
        """`names` (C, 384): unit vectors of all names; `members` (1000, k): which are each class's,
        short rows filled with their first."""
        super().__init__()
        self.register_buffer("names", names)
        self.register_buffer("members", members)
        self.tau = tau

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        cosines = text @ self.names.T
        nearest = cosines[:, self.members.flatten()].unflatten(1, self.members.shape).amax(-1)
        return (nearest / self.tau).exp()


class TextHead(nn.Module):
    """The encoder's output (B, W) -> embedding (B, D). `mapping` brings another encoder into
    MiniLM's space."""

    def __init__(
        self, concepts: Concepts, concept_share: float, mapping: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.concepts, self.share = concepts, concept_share
        self.mapping = mapping or nn.Identity()

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        words = normalize(self.mapping(normalize(text, dim=-1)), dim=-1)
        return side_by_side(words, self.concepts(words), self.share)


class TextTower(nn.Module):
    """Token ids and attention mask, each (B, T) int64 -> embedding (B, D)."""

    def __init__(self, encoder: nn.Module, head: TextHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(input_ids, attention_mask))


def side_by_side(words: torch.Tensor, concepts: torch.Tensor, share: float) -> torch.Tensor:
    """Two parts -> one unit row, `share` of whose squared length is the second's."""
    parts = (
        normalize(words, dim=-1) * (1 - share) ** 0.5,
        normalize(concepts, dim=-1) * share**0.5,
    )
    return torch.cat(parts, dim=-1)
