"""How an image is kept: as its file's bytes, encoded again, or as pixels; resized where that is asked for."""

import io
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import simplejpeg
from PIL import Image

from bigdata_ml.prepare.images.decode import Decoded

__all__ = ["RAW_BYTES", "PictureStorage", "pixels_of_file", "thumbnail", "thumbnail_of_file"]

# Below this an image is kept as pixels: decoding would cost more than reading.
RAW_BYTES = 16 << 10
_THUMBNAIL_PIXELS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureStorage:
    """How images are kept.

    Attributes:
        encoding: `source` keeps the files' own bytes where they decode to the right pixels by themselves, and writes the
            others anew (JPEG as JPEG, what is small or of another format as PNG); `auto` does too, and keeps pixels where
            all images have one size of at most 16 KiB; `raw` keeps pixels, `jpeg` and `png` encode every image again.
        jpeg_quality: of the JPEGs that are written, 1 … 100.
        shorter_side: images whose shorter side has more pixels are reduced to it, the aspect being kept.
        size: HEIGHTxWIDTH in pixels that every image gets.
        fit: `crop` scales an image to cover `size` and cuts off what stands out, the same on both sides; `stretch` gives up
            its aspect.
    """

    encoding: Literal["auto", "raw", "source", "jpeg", "png"] = "auto"
    jpeg_quality: int = 95
    shorter_side: int | None = None
    size: str | None = None
    fit: Literal["crop", "stretch"] = "crop"

    def __post_init__(self) -> None:
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must lie in [1, 100], got {self.jpeg_quality}")
        if self.shorter_side is not None and self.shorter_side < 1:
            raise ValueError(f"shorter_side must be at least 1 pixel, got {self.shorter_side}")
        if self.size is not None and not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", self.size):
            raise ValueError(f"size is written HEIGHTxWIDTH in pixels, such as 224x224, got {self.size!r}")
        if self.size is not None and self.shorter_side is not None:
            raise ValueError("size says how large images are, so shorter_side has nothing to say; give one of them")

    def resized(self, image: Image.Image) -> Image.Image:
        """Return the image in the size in which it is kept."""
        if self.size is not None:
            height, width = map(int, self.size.split("x"))
            return self._fitted(image, height, width)
        shorter = min(image.size)
        if self.shorter_side is None or shorter <= self.shorter_side:
            return image
        width, height = (max(1, round(side * self.shorter_side / shorter)) for side in image.size)
        return image.resize((width, height), Image.Resampling.BICUBIC)

    def bytes_of(self, kept: Image.Image, decoded: Decoded, content: bytes) -> bytes:
        """Return what is stored of `kept`, the image in its size; `content` are the bytes of the file it came from."""
        if self.encoding == "raw":
            return kept.tobytes()
        if self.encoding in ("auto", "source") and decoded.plain and kept is decoded.image:
            return content
        small = kept.height * kept.width * len(kept.getbands()) <= RAW_BYTES
        if self.encoding == "jpeg" or (self.encoding != "png" and decoded.kind == "JPEG" and not small):
            return _jpeg(kept, self.jpeg_quality)
        return _png(kept)

    def _fitted(self, image: Image.Image, height: int, width: int) -> Image.Image:
        if image.size == (width, height):
            return image
        box = (0.0, 0.0, float(image.width), float(image.height))
        if self.fit == "crop":
            scale = min(image.height / height, image.width / width)
            left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
            box = (max(0.0, left), max(0.0, top), min(box[2], left + width * scale), min(box[3], top + height * scale))
        return image.resize((width, height), Image.Resampling.BICUBIC, box=box)


def pixels_of_file(content: bytes, channels: int) -> np.ndarray:
    """Return an image that is kept as a file, uint8 [height, width, channels], 1 or 3 channels."""
    with Image.open(io.BytesIO(content)) as image:
        return in_channels(np.asarray(image.convert("L" if channels == 1 else "RGB")), channels)


def thumbnail_of_file(content: bytes, channels: int) -> bytes:
    """Return an image that is kept as a file, 1 or 3 channels, as a PNG of at most 64 × 64 pixels."""
    mode = "L" if channels == 1 else "RGB"
    with Image.open(io.BytesIO(content)) as image:
        return thumbnail(image if image.mode == mode else image.convert(mode))


def in_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Return pixels [height, width] or [height, width, 1 or 3] with that many channels; grey is repeated, or taken once."""
    pixels = pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels[:, :, :channels]
    return pixels if pixels.shape[2] == channels else np.repeat(pixels, channels, axis=2)


def thumbnail(image: Image.Image) -> bytes:
    """Return the image as a PNG of at most 64 × 64 pixels; it is made small itself, since a copy may be 64 MiB."""
    image.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
    stream = io.BytesIO()
    image.save(stream, "PNG", icc_profile=None)
    return stream.getvalue()


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _jpeg(image: Image.Image, quality: int) -> bytes:
    grey = image.mode == "L"
    pixels = np.ascontiguousarray(in_channels(np.asarray(image), 1 if grey else 3))
    space, sampling = ("GRAY", "Gray") if grey else ("RGB", "420")
    return bytes(simplejpeg.encode_jpeg(pixels, quality=quality, colorspace=space, colorsubsampling=sampling, fastdct=False))
