"""Every training picture as pixels in memory, and views of many of them at once on a GPU.

Fine-tuning shows a picture tens of times, each time another part of it. Reading and cutting with
Pillow would take longer than the training, so pictures are read once, made square by squeezing, and
cut, mirrored and coloured in batches by torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample, interpolate

from training.pixels import BICUBIC, MEAN, SIZE, STD, load

STORED = 288  # side of a picture in memory
LUMA = (0.299, 0.587, 0.114)
EFFECTS = ("grey", "small", "cartoon", "pencil", "line")
CHANCES = (0.1, 0.2, 0.07, 0.07, 0.07)  # of each effect; the rest of the pictures stay in colour


@dataclass(frozen=True, slots=True)
class PixelStore:
    """`pixels` (N, 3, 288, 288) uint8, squeezed to a square; `shapes` (N, 2): width and height as
    they were, divided by the shorter of them."""

    pixels: torch.Tensor
    shapes: torch.Tensor

    def plain(self, rows: Sequence[int]) -> torch.Tensor:
        """The centre squares of `rows` (B): (B, 3, 260, 260) float32, normalised."""
        at = torch.as_tensor(rows, device=self.pixels.device)
        zeros = torch.zeros(len(at), device=at.device)
        return _normalised(self._cut(at, 1 / self.shapes[at], zeros, zeros))

    def augmented(self, rows: Sequence[int], seen: torch.Generator) -> torch.Tensor:
        """Random views of `rows` (B): (B, 3, 260, 260) float32, normalised.

        Each is a part as large as 30 to 100 % of the centre square, anywhere in the picture,
        mirrored half of the time, its light and colour changed, some with one of `EFFECTS`.
        """
        at = torch.as_tensor(rows, device=self.pixels.device)
        count = len(at)

        def chance(low: float, high: float) -> torch.Tensor:
            drawn = torch.rand(count, generator=seen, device=at.device)
            return low + (high - low) * drawn

        side = chance(0.3, 1.0).sqrt()
        stretch = chance(-0.25, 0.25).exp()  # width against height
        whole = self.shapes[at]
        part = torch.stack([side * stretch, side / stretch], 1) / whole
        part = part.clamp(max=1)
        left = (1 - part) * torch.stack([chance(-1, 1), chance(-1, 1)], 1)
        mirrored = torch.where(chance(0, 1) < 0.5, -1.0, 1.0)
        cut = self._cut(at, part, left[:, 0], left[:, 1], mirrored)
        light = chance(0.7, 1.3)[:, None, None, None]
        contrast = chance(0.7, 1.3)[:, None, None, None]
        colour = chance(0.6, 1.4)[:, None, None, None]
        mean = cut.mean((1, 2, 3), keepdim=True)
        cut = ((cut - mean) * contrast + mean) * light
        grey = _grey(cut)
        cut = (grey + (cut - grey) * colour).clamp(0, 1)
        effect = torch.multinomial(
            torch.tensor([*CHANCES, 1 - sum(CHANCES)], device=at.device),
            count,
            replacement=True,
            generator=seen,
        )
        for number, name in enumerate(EFFECTS):
            which = (effect == number).nonzero()[:, 0]
            if len(which):
                strength = torch.rand((), generator=seen, device=at.device).item()
                cut[which] = _changed(cut[which], name, strength)
        return _normalised(cut)

    def _cut(
        self,
        at: torch.Tensor,
        part: torch.Tensor,
        across: torch.Tensor,
        down: torch.Tensor,
        mirrored: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """`part` (B, 2): width and height of the piece as shares of the picture's; `across` and
        `down`: its centre, from -1 to 1. -> (B, 3, 260, 260) float32, 0 to 1."""
        theta = torch.zeros(len(at), 2, 3, device=at.device)
        theta[:, 0, 0] = part[:, 0] * (1 if mirrored is None else mirrored)
        theta[:, 1, 1] = part[:, 1]
        theta[:, 0, 2], theta[:, 1, 2] = across, down
        grid = affine_grid(theta, [len(at), 3, SIZE, SIZE], align_corners=False)
        pixels = self.pixels[at].float() / 255
        return grid_sample(pixels, grid, "bilinear", "reflection", align_corners=False)


def read_pixels(files: Sequence[Path], device: str, threads: int = 16) -> PixelStore:
    """Read N pictures. The store takes 0.25 MB a picture."""

    def read(file: Path) -> tuple[np.ndarray, tuple[float, float]]:
        image = load(file)
        short = min(image.size)
        shape = image.width / short, image.height / short
        return np.asarray(image.resize((STORED, STORED), BICUBIC)).transpose(2, 0, 1), shape

    pixels = torch.empty(len(files), 3, STORED, STORED, dtype=torch.uint8)
    shapes = torch.empty(len(files), 2)
    with ThreadPoolExecutor(threads) as pool:
        for row, (picture, shape) in enumerate(pool.map(read, files)):
            pixels[row] = torch.from_numpy(picture.copy())
            shapes[row] = torch.tensor(shape)
    return PixelStore(pixels.to(device), shapes.to(device))


def _changed(pictures: torch.Tensor, effect: str, strength: float) -> torch.Tensor:
    """`pictures` (B, 3, S, S), 0 to 1; `strength`: 0 to 1."""
    grey = _grey(pictures)
    if effect == "grey":
        return grey.expand_as(pictures)
    if effect == "small":
        side = round(24 + 48 * strength)
        shrunk = interpolate(pictures, (side, side), mode="bicubic", antialias=True)
        return interpolate(shrunk, (SIZE, SIZE), mode="bicubic").clamp(0, 1)
    if effect == "pencil":  # colour dodge: grey / (1 - blurred negative)
        blurred = _blurred(grey, 2 + 6 * strength)
        return (grey / blurred.clamp(min=0.01)).clamp(0, 1).expand_as(pictures)
    lines = _lines(grey)
    if effect == "line":
        return (lines > 0.5).float().expand_as(pictures)
    levels = 3 + round(3 * strength)
    return (_blurred(pictures, 2) * levels).round() / levels * lines


def _grey(pictures: torch.Tensor) -> torch.Tensor:
    luma = torch.tensor(LUMA, device=pictures.device)[:, None, None]
    return (pictures * luma).sum(1, keepdim=True)


def _lines(grey: torch.Tensor) -> torch.Tensor:
    """(B, 1, S, S): 1 on plain ground, towards 0 on edges."""
    smooth = _blurred(grey, 1)
    across = smooth.diff(dim=3, append=smooth[..., -1:])
    down = smooth.diff(dim=2, append=smooth[:, :, -1:])
    edges = (across.square() + down.square()).sqrt()
    strongest = edges.flatten(1).quantile(0.97, dim=1)[:, None, None, None].clamp(min=0.02)
    return (1 - edges / strongest).clamp(0, 1)


def _blurred(pictures: torch.Tensor, sigma: float) -> torch.Tensor:
    """A Gaussian blur; `sigma` in pixels."""
    reach = max(1, round(2 * sigma))
    distance = torch.arange(-reach, reach + 1, device=pictures.device, dtype=pictures.dtype)
    kernel = (-0.5 * (distance / sigma).square()).exp()
    kernel = kernel / kernel.sum()
    channels = pictures.shape[1]
    padded = torch.nn.functional.pad(pictures, [reach] * 4, mode="replicate")
    across = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    down = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    once = torch.nn.functional.conv2d(padded, across, groups=channels)
    return torch.nn.functional.conv2d(once, down, groups=channels)


def _normalised(pictures: torch.Tensor) -> torch.Tensor:
    return (pictures - MEAN) / STD
