"""What Pillow doesn't open: HEIC, RAW, JPEG XL and video. Each library is loaded when first needed.

The libraries for RAW, JPEG XL and video are optional dependencies. No pixels are decoded before
the size is known to be within the limit.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
from PIL import Image, JpegImagePlugin

from zeroshelf.errors import Unreadable
from zeroshelf.images import formats
from zeroshelf.images.codecs import optional
from zeroshelf.images.codecs.bit_depth import scaled
from zeroshelf.images.codecs.opened import Limit, Opened

FRAMES = 5  # of a video, spread evenly; the mean of their embeddings speaks for it
_PATIENCE = 60  # frames decoded after a jump


def heif(data: bytes, limit: Limit) -> Opened:
    from pi_heif.as_plugin import HeifImageFile  # turns the picture itself and says so in its EXIF

    image = HeifImageFile(io.BytesIO(data))
    limit(*image.size)
    return Opened(image, data)


def raw(data: bytes, limit: Limit) -> Opened:
    """The preview that the camera put inside; where there is none, half the sensor's size."""
    try:
        import rawpy
    except ImportError:
        raise Unreadable(optional.advice(formats.RAW)) from None
    try:
        opened = rawpy.imread(io.BytesIO(data))
    except rawpy.LibRawFileUnsupportedError:
        raise Unreadable("RAW of a camera that the installed rawpy doesn't know") from None
    with opened as file:
        turn = {3: 3, 5: 8, 6: 6}.get(file.sizes.flip, 1)
        try:
            preview = file.extract_thumb()
        except rawpy.LibRawError:
            limit(file.sizes.width, file.sizes.height)
            developed = Image.fromarray(file.postprocess(half_size=True, use_camera_wb=True))
            return Opened(developed, data, 1)  # LibRaw has turned it
    if preview.format != rawpy.ThumbFormat.JPEG:
        return Opened(Image.fromarray(preview.data), data, turn)
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(preview.data))
    own = image.getexif().get(0x0112)
    return Opened(image, preview.data, own if own else turn)


def jxl(data: bytes, limit: Limit) -> Opened:
    """JPEG XL turns itself upright."""
    try:
        import imagecodecs
    except ImportError:
        raise Unreadable(optional.advice(formats.JXL)) from None
    limit(*_jxl_size(data))
    pixels = imagecodecs.jpegxl_decode(data, index=0)
    white = None if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    return Opened(Image.fromarray(scaled(pixels, white or 1.0).squeeze()), data, 1)


def video(open_file: Callable[[], IO[bytes]], limit: Limit) -> Iterator[Opened]:
    """Up to `FRAMES` pictures, evenly over its length, each upright. Of the file only what they
    need is read."""
    try:
        import av
    except ImportError:
        raise Unreadable(optional.advice(formats.VIDEO)) from None
    with open_file() as file, av.open(file) as container:
        if not container.streams.video:
            raise Unreadable("the video has no video stream")
        stream = container.streams.video[0]
        limit(stream.codec_context.width, stream.codec_context.height)
        length = container.duration or 0  # microseconds
        start = container.start_time or 0
        last = None
        for part in range(FRAMES):
            moment = start + length * (2 * part + 1) // (2 * FRAMES)
            if length:
                container.seek(moment)
            frame = _frame_at(moment / 1e6, container, stream)
            if frame is None or frame.pts == last:
                continue  # shorter than it says, or one frame only
            last = frame.pts
            limit(frame.width, frame.height)
            turn = {90: 8, 180: 3, -180: 3, -90: 6, 270: 6}.get(frame.rotation, 1)
            yield Opened(frame.to_image(), b"", turn)


def _frame_at(second: float, container: Any, stream: Any) -> Any:
    """A jump lands on a key frame: go on from there, for a while. None where nothing decodes."""
    import av

    found = None
    for _, packet in zip(range(_PATIENCE), container.demux(stream), strict=False):
        try:
            for frame in packet.decode():
                found = frame
                if frame.time is None or frame.time >= second:
                    return frame
        except av.FFmpegError:
            continue
    return found


# --- the size of a JPEG XL picture, from its first bits: SizeHeader of ISO/IEC 18181-1 -----------

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def _jxl_size(data: bytes) -> tuple[int, int]:
    start = 0
    if not data.startswith(b"\xff\x0a"):  # a container: the codestream lies in a box
        start = max(data.find(b"jxlc") + 4, 0) if b"jxlc" in data else data.find(b"jxlp") + 8
    if data[start : start + 2] != b"\xff\x0a":
        raise Unreadable("JPEG XL without a picture")
    bits = int.from_bytes(data[start + 2 : start + 18], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    if ratio:
        across, down = _RATIOS[ratio]
        return height * across // down, height
    return side(), height
