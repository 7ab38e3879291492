"""Words -> prompts -> one vector a word. Owns the prompt templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from zeroshelf.labels.parse import spoken
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Label, LabelSet, Vectors

Texts: TypeAlias = Callable[[Sequence[str]], Vectors]  # N texts -> (N, D), rows of length 1

PLAIN = "a photo of a {}."

# An ensemble: OpenAI's seven templates (CLIP's notebook Prompt_Engineering_for_ImageNet), which do
# a little better than all eighty, with the plain one and the bare word.
TEMPLATES = (
    "{}",
    PLAIN,
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)

# For labels in another language that the model knows: templates in that language are better than
# English ones around a foreign word. Without an article, where one would need a gender.
NATIVE: dict[str, tuple[str, ...]] = {
    "de": ("{}", "ein Foto: {}.", "ein Bild von: {}.", "auf dem Foto: {}.", "eine Zeichnung: {}."),
    "nl": ("{}", "een foto van {}.", "een afbeelding van {}.", "op de foto: {}."),
    "fr": ("{}", "une photo : {}.", "une image de : {}.", "sur la photo : {}.", "un dessin : {}."),
    "es": ("{}", "una foto de {}.", "una imagen de {}.", "en la foto: {}.", "un dibujo de {}."),
    "pt": ("{}", "uma foto de {}.", "uma imagem de {}.", "na foto: {}.", "um desenho de {}."),
    "it": ("{}", "una foto di {}.", "un'immagine di {}.", "nella foto: {}.", "un disegno di {}."),
    "sv": ("{}", "ett foto av {}.", "en bild av {}.", "på fotot: {}."),
    "da": ("{}", "et foto af {}.", "et billede af {}.", "på billedet: {}."),
    "pl": ("{}", "zdjęcie: {}.", "obraz: {}.", "na zdjęciu: {}."),
    "cs": ("{}", "fotografie: {}.", "obrázek: {}.", "na fotografii: {}."),
    "ru": ("{}", "фотография: {}.", "изображение: {}.", "на фото: {}.", "рисунок: {}."),
    "uk": ("{}", "фотографія: {}.", "зображення: {}.", "на фото: {}."),
    "tr": ("{}", "{} fotoğrafı.", "{} resmi.", "fotoğrafta: {}."),  # noqa: RUF001
    "ja": ("{}", "{}の写真。", "{}の画像。", "写真に写っているのは{}。", "{}の絵。"),
    "zh": ("{}", "一张{}的照片。", "{}的图片。", "照片里有{}。", "{}的画。"),
    "ko": ("{}", "{} 사진.", "{} 이미지.", "사진 속의 {}."),
}


def label_prompts(label: Label, labels: LabelSet, meaning: Sequence[str] = ()) -> list[list[str]]:
    """A list of prompts for each of the label's words, and one for each prompt of its own.

    `meaning` are texts that say what the first word means; together they count for about as much
    as the templates do.
    """
    words = [asked(word, labels) for word in (label.name, *label.words)]
    if label.prompts:
        words = words[1:]
    templates = labels.templates or NATIVE.get(labels.language, TEMPLATES)
    english = templates is TEMPLATES or labels.templates
    suffix = f", a type of {labels.kind}." if labels.kind and english else None
    made = []
    for word in words:
        prompts = [template.replace("{}", word) for template in templates]  # other braces are text
        if suffix:
            prompts = [prompt.removesuffix(".") + suffix for prompt in prompts]
        made.append(prompts)
    if meaning and not labels.templates:
        made[0] += [*meaning] * (len(made[0]) // len(meaning))
    return [*made, *([prompt] for prompt in label.prompts)]


def asked(word: str, labels: LabelSet) -> str:
    """A label's word as templates and dictionary take it: "my/red_pandas" -> "red panda"."""
    word = spoken(word)  # the templates say "a": "a photo of a dogs" would be none
    return wordnet().singular(word) if labels.language == "en" else word


def mean_vectors(prompts: Sequence[Sequence[str]], texts: Texts) -> Vectors:
    """N lists of prompts -> (N, D): the mean of each list's unit vectors, made unit again."""
    flat = texts([prompt for group in prompts for prompt in group])
    starts = np.cumsum([0, *(len(group) for group in prompts)])[:-1]
    means = np.add.reduceat(flat, starts, axis=0)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)
