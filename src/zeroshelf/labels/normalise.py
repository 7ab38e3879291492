"""A label's name or word -> the phrase that is looked for in a picture, and its dictionary form.

    "animals/red_pandas"  --phrase-->  "red pandas"  --dictionary_form-->  "red panda"

`resolve.py` normalises each word of a label set once and keeps both forms in the resolved label.
"""

from __future__ import annotations

import re
import unicodedata

from zeroshelf.labels.wordnet import wordnet

# The words that users write around the thing itself, on its left or right: "this is a photo of a",
# "there is a", "in the picture". "drawing of" and "passport photo" are kept: they describe how the
# picture looks.
_FRAME = re.compile(
    r"^((this|there|here|it) is |it's )?"
    r"((an? |the |my |some )?(photo|photograph|picture|image|pic|snapshot)s? "
    r"(of|showing|with|containing|depicting) )?"
    r"((an?|the|some) )?"
    r"|( in (the|this|an?) (photo|photograph|picture|image))?[.!?,;:…]*$",
    re.IGNORECASE,
)


def phrase(name: str) -> str:
    """The part of a label's name or word that is looked for in a picture: "animals/red_panda" and
    "a photo of a red panda" -> "red panda". The prompt templates add frame and article again.
    """
    words = " ".join(name.rpartition("/")[2].replace("_", " ").split())
    return _FRAME.sub("", words) or words


def dictionary_form(phrase: str, language: str) -> str:
    """A phrase as templates and WordNet take it: in the singular where the language is English,
    because the templates say "a" ("a photo of a dogs" would be wrong)."""
    return wordnet().singular(phrase) if language == "en" else phrase


def comparable(name: str) -> str:
    """A key that is equal for two names that differ only in case or in how an accent is encoded."""
    return unicodedata.normalize("NFC", name.casefold())
