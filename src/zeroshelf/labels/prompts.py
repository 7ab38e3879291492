"""A label's words -> prompts -> one vector per word. The prompt templates are defined here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from zeroshelf.records import LabelSet, Vectors

Texts: TypeAlias = Callable[[Sequence[str]], Vectors]  # N texts -> (N, D), rows of length 1

PLAIN = "a photo of a {}."

# An ensemble of nine: the bare word, the plain template, and the seven of OpenAI's notebook
# Prompt_Engineering_for_ImageNet (CLIP), which score a little better than all its eighty.
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

# For labels in another language that the model knows: templates in that language score better than
# English ones around a word of it. They have no article, since that would need the noun's gender.
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


def label_prompts(
    words: Sequence[str], own: Sequence[str], labels: LabelSet, glosses: Sequence[str] = ()
) -> list[list[str]]:
    """The prompts of one label: a list for each of its words, then one for each prompt of its own.

    `words` are the label's words in dictionary form, the name's first. `own` are whole prompts that
    the user wrote (`Label.prompts`); they replace the name's prompts. `glosses` are texts that
    explain the first word; they are repeated until they count for about as much as the templates.
    """
    if own:
        words = words[1:]
    templates = labels.templates or NATIVE.get(labels.language, TEMPLATES)
    english = templates is TEMPLATES or labels.templates
    suffix = f", a type of {labels.kind}." if labels.kind and english else None
    made = []
    for word in words:
        # str.replace and not str.format, because a user's template may have other braces
        prompts = [template.replace("{}", word) for template in templates]
        if suffix:
            prompts = [prompt.removesuffix(".") + suffix for prompt in prompts]
        made.append(prompts)
    if glosses and not labels.templates:
        made[0] += [*glosses] * (len(made[0]) // len(glosses))
    return [*made, *([prompt] for prompt in own)]


def mean_vectors(prompts: Sequence[Sequence[str]], texts: Texts) -> Vectors:
    """N lists of prompts -> (N, D): the mean of each list's vectors, normalised to length 1."""
    flat = texts([prompt for group in prompts for prompt in group])
    starts = np.cumsum([0, *(len(group) for group in prompts)])[:-1]
    means = np.add.reduceat(flat, starts, axis=0)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)
