"""Pictures become pixels, and views: the same picture made smaller, cropped or drawn."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from zeroshelf.images.preprocess import crop_box
from zeroshelf.records import Preprocessing

SIZE = 260  # the side at which EfficientNet-lite2 was trained
MEAN, STD = 127 / 255, 128 / 255
BICUBIC = Image.Resampling.BICUBIC


def load(path: Path) -> Image.Image:
    """Upright RGB; what is transparent lies on white."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            paper = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(paper, upright)
        return upright.convert("RGB")


def square(image: Image.Image, size: int = SIZE) -> Image.Image:
    """Shortest side to `size` (bicubic, antialiased), centre crop, by the package's own box."""
    settings = Preprocessing(size, "shortest", "bicubic", (MEAN,) * 3, (STD,) * 3)
    return image.resize((size, size), BICUBIC, box=crop_box(*image.size, settings))


def to_array(image: Image.Image) -> np.ndarray:
    """A square picture -> (3, size, size) float32, (x / 255 - mean) / std."""
    pixels = np.asarray(image, np.float32).transpose(2, 0, 1)
    return (pixels / 255 - np.float32(MEAN)) / np.float32(STD)


def plain(image: Image.Image, _: random.Random) -> Image.Image:
    return square(image)


def cropped(image: Image.Image, rng: random.Random) -> Image.Image:
    """A random part (35 to 100 % of the area), maybe mirrored, its light and colour changed."""
    side = rng.uniform(0.35, 1) ** 0.5
    width, height = max(1, int(image.width * side)), max(1, int(image.height * side))
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    part = _mirrored(image.crop((left, top, left + width, top + height)), rng)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        part = enhance(part).enhance(rng.uniform(0.7, 1.3))
    return square(part)


def small(image: Image.Image, rng: random.Random) -> Image.Image:
    """As if it had come at 24 to 72 pixels."""
    shrunk = square(_mirrored(image, rng), rng.randint(24, 72))
    return shrunk.resize((SIZE, SIZE), BICUBIC)


def grey(image: Image.Image, rng: random.Random) -> Image.Image:
    """A cropped view without colour."""
    return ImageOps.grayscale(cropped(image, rng)).convert("RGB")


def drawn(image: Image.Image, rng: random.Random) -> Image.Image:
    """Grey, flat colours with outlines, a pencil drawing or a line drawing, by filters alone."""
    tile = square(_mirrored(image, rng))
    light = ImageOps.grayscale(tile)
    lines = ImageOps.invert(ImageOps.autocontrast(light.filter(ImageFilter.FIND_EDGES), cutoff=1))
    kind = rng.choice(("grey", "cartoon", "pencil", "line"))
    if kind == "grey":
        result = light
    elif kind == "cartoon":
        flat = ImageOps.posterize(tile.filter(ImageFilter.MedianFilter(7)), rng.choice((2, 3)))
        result = ImageChops.multiply(flat, lines.convert("RGB"))
    elif kind == "pencil":  # colour dodge: grey / (1 - blurred negative)
        blurred = np.asarray(light.filter(ImageFilter.GaussianBlur(rng.uniform(2, 8))), np.float32)
        dodge = np.asarray(light, np.float32) * 255 / np.maximum(blurred, 1)
        result = Image.fromarray(np.minimum(dodge, 255).astype(np.uint8))
    else:
        result = lines.filter(ImageFilter.MinFilter(3)).point(lambda v: 0 if v < 128 else 255)
    return result.convert("RGB")


VIEWS: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "plain": plain,
    "cropped": cropped,
    "small": small,
    "drawn": drawn,
    "grey": grey,
}
MIXED = ("cropped", "small", "small", "drawn", "drawn", "grey")


def view_of(image: Image.Image, view: str, rng: random.Random) -> Image.Image:
    """A square view; "mixed", and "mixed-2" after it, are one of `MIXED` by chance."""
    if view.startswith("mixed"):
        view = rng.choice(MIXED)
    return VIEWS[view](image, rng)


def _mirrored(image: Image.Image, rng: random.Random) -> Image.Image:
    return ImageOps.mirror(image) if rng.random() < 0.5 else image
