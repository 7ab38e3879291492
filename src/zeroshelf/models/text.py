"""Texts become token ids, as the model's makers did it."""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zeroshelf.errors import UserError
from zeroshelf.models import clip_bpe
from zeroshelf.models.layout import TextSettings

if TYPE_CHECKING:
    from tokenizers import Tokenizer as FastTokenizer

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _basic(text: str) -> str:
    """open_clip's first step, which is CLIP's own: broken encodings, entities and look-alikes are
    mended, white space is one blank."""
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
        tokenizer.enable_truncation(settings.context_length)
        tokenizer.enable_padding(
            direction=settings.padding_side,
            pad_id=pad_id,
            pad_token=token or "",
            length=settings.context_length if pad_to_context else None,
        )

    def __call__(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """N texts -> token ids and attention mask, each (N, tokens)."""
        rows = self._tokenizer.encode_batch([self._prefix + self._clean(text) for text in texts])
        ids = np.array([row.ids for row in rows], np.int64)
        mask = np.array([row.attention_mask for row in rows], np.int64)
        return ids, mask


def _open(settings: TextSettings) -> FastTokenizer:
    if settings.tokenizer.suffix == ".gz":
        return clip_bpe.read(settings.tokenizer)
    from tokenizers import Tokenizer as FastTokenizer

    try:
        return FastTokenizer.from_file(str(settings.tokenizer))
    except Exception as error:  # tokenizers raises nothing more precise
        raise UserError(f"{settings.tokenizer} can't be read: {error}") from error
