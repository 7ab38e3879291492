"""What the cache keeps of a picture beside its vector: thumbnail, quality note and dHash.

All three are computed from the decoded picture without a model. Each has a version of its own
(thumbnails.VERSION, quality.VERSION, near_duplicates.VERSION) and a table of its own in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from zeroshelf.images import decode, near_duplicates, quality, thumbnails


@dataclass(frozen=True, slots=True)
class Derived:
    thumbnail: bytes  # a small JPEG of the first frame
    note: str | None = None  # "cut short: ...", quality.DARK or quality.BLURRED
    hash: int | None = None  # 64 bits, as near_duplicates.dhash computes them of the first frame


def derive(data: decode.Content, short_side: int, *, suffix: str = "") -> Derived:
    """Thumbnail, note and hash of a file's content. Parameters and errors as in `decode.frames`."""
    found = Collector()
    for frame in decode.frames(data, short_side, suffix=suffix):
        found.add(frame)
    return found.result()


@dataclass(slots=True)
class Collector:
    """Takes the frames of one file one by one, so that they needn't be in memory together."""

    size: tuple[int, int] | None = None  # width and height of the first frame, at its full scale
    _first: Derived | None = None
    _problems: set[str | None] = field(default_factory=set)

    def add(self, frame: decode.Decoded) -> None:
        small = thumbnails.shrink(frame.image, quality.SIDE)
        self._problems.add(quality.problem(small))
        if self._first is None:
            self.size = (frame.width, frame.height)
            measured = thumbnails.jpeg(small)
            drawn = measured
            if thumbnails.SIDE != quality.SIDE:
                drawn = thumbnails.jpeg(thumbnails.shrink(frame.image, thumbnails.SIDE))
            self._first = Derived(drawn, frame.note, near_duplicates.dhash(measured))

    def result(self) -> Derived:
        """Needs one frame at least. A quality problem is noted only if all frames share it: a video
        may begin with a black frame."""
        assert self._first is not None
        first = self._first
        common = next(iter(self._problems)) if len(self._problems) == 1 else None
        return Derived(first.thumbnail, first.note or common, first.hash)
