"""Texts become token ids, as the model's makers did it."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.errors import UserError
from zeroshelf.layout import TextSettings

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _whitespace(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _canonicalize(text: str) -> str:
    """big_vision's canonicalisation: no ASCII punctuation, lower case, single blanks."""
    return _whitespace(text.replace("_", " ").translate(_PUNCTUATION).lower())


CLEANING: Mapping[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "whitespace": _whitespace,
    "lower": lambda text: _whitespace(text).lower(),
    "canonicalize": _canonicalize,
}


class Tokenizer:
    """tokenizer.json with the model's own length, padding and cleaning in place of the file's."""

    def __init__(self, settings: TextSettings, pad_to_context: bool) -> None:
        from tokenizers import Tokenizer as FastTokenizer

        try:
            self._tokenizer = FastTokenizer.from_file(str(settings.tokenizer))
        except Exception as error:  # tokenizers raises a bare Exception
            raise UserError(f"{settings.tokenizer} can't be read: {error}") from error
        self._clean = CLEANING[settings.cleaning]
        self._prefix = settings.prefix
        pad: dict[str, Any] = dict(self._tokenizer.padding or {})
        token = settings.pad_token or pad.get("pad_token")
        pad_id = 0 if token is None else self._tokenizer.token_to_id(token)
        if pad_id is None:
            raise UserError(f"{settings.tokenizer}: its padding token {token!r} is not in it")
        length = settings.context_length
        self._tokenizer.enable_truncation(length)
        self._tokenizer.enable_padding(
            pad_id=pad_id, pad_token=token or "", length=length if pad_to_context else None
        )

    def __call__(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """N texts -> token ids and attention mask, each (N, tokens)."""
        cleaned = [self._prefix + self._clean(text) for text in texts]
        rows = self._tokenizer.encode_batch_fast(cleaned)
        ids = np.array([row.ids for row in rows], np.int64)
        mask = np.array([row.attention_mask for row in rows], np.int64)
        return ids, mask
