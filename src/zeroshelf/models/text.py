"""Texts -> token ids, with the model's own tokenizer and settings."""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zeroshelf.errors import UserError
from zeroshelf.models import clip_bpe
from zeroshelf.models.families import TextSettings

if TYPE_CHECKING:
    from tokenizers import Tokenizer as FastTokenizer

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _basic(text: str) -> str:
    """open_clip's first step, which is CLIP's own: broken encodings, entities and look-alikes are
    mended, white space is one blank. In plain ASCII there is nothing to mend."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return " ".join(text.split())
    import ftfy

    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def _canonicalize(text: str) -> str:
    """big_vision's: underscores are blanks, no ASCII punctuation, lower case."""
    bare = _basic(text).replace("_", " ").translate(_NO_PUNCTUATION)
    return " ".join(bare.lower().split())


def _siglip(text: str) -> str:
    """transformers' SiglipTokenizer."""
    return " ".join(text.lower().translate(_NO_PUNCTUATION).split())


CLEANING: Mapping[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "whitespace": _basic,
    "lower": lambda text: _basic(text).lower(),
    "canonicalize": _canonicalize,
    "siglip": _siglip,
    "siglip2": str.lower,
}


class Tokenizer:
    """The model's tokenizer, with the model's length, padding and cleaning in place of its own."""

    def __init__(self, settings: TextSettings, pad_to_context: bool) -> None:
        self._tokenizer = tokenizer = _open(settings)
        self._clean = CLEANING[settings.cleaning]
        self._prefix = settings.prefix
        token = settings.pad_token or (tokenizer.padding or {}).get("pad_token")
        pad_id = tokenizer.token_to_id(token) if token else 0
        if pad_id is None:
            raise UserError(f"{settings.tokenizer} does not know its padding token {token!r}")
        self._pad_id, self._pad_left = pad_id, settings.padding_side == "left"
        self._length = settings.context_length if pad_to_context else None
        tokenizer.enable_truncation(settings.context_length)
        tokenizer.no_padding()

    def without_padding(self) -> Tokenizer:
        """The same, but that texts are padded to the longest of a batch only."""
        made = copy(self)
        made._length = None
        return made

    def __call__(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """N texts -> token ids and attention mask, each (N, tokens)."""
        return self.padded(self.ids(texts))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, none longer than the model's context."""
        rows = self._tokenizer.encode_batch([self._prefix + self._clean(text) for text in texts])
        return [row.ids for row in rows]

    def padded(
        self, rows: Sequence[Sequence[int]], length: int | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Token ids and attention mask, each (N, tokens): of N rows, padded to `length`; None: to
        the longest or to the model's context."""
        length = length or self._length or max(map(len, rows))
        ids = np.full((len(rows), length), self._pad_id, np.int64)
        mask = np.zeros((len(rows), length), np.int64)
        for at, row in enumerate(rows):
            place = slice(length - len(row), None) if self._pad_left else slice(len(row))
            ids[at, place], mask[at, place] = row, 1
        return ids, mask


def _open(settings: TextSettings) -> FastTokenizer:
    if settings.tokenizer.suffix == ".gz":
        return clip_bpe.read(settings.tokenizer)
    from tokenizers import Tokenizer as FastTokenizer

    try:
        return FastTokenizer.from_file(str(settings.tokenizer))
    except Exception as error:  # tokenizers raises nothing more precise
        raise UserError(f"{settings.tokenizer} can't be read: {error}") from error
