"""The faults that folders of images have, each made from a clean picture."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

__all__ = ["FAULTS", "LOOKALIKES", "deflate_bomb", "png_chunk", "with_chunk"]

Fault = Callable[[Image.Image, np.random.Generator], tuple[str, bytes]]


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return the image as a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png: bytes, chunk: bytes) -> bytes:
    """Return the PNG with a chunk after its header."""
    return png[:33] + chunk + png[33:]


def deflate_bomb(mebibytes: int) -> bytes:
    """Return a zlib stream that inflates to so many MiB of zeros, made without compressing them."""
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    mebibyte = block.compress(bytes(1 << 20)) + block.flush(zlib.Z_FULL_FLUSH)
    # Adler-32 of n zeros: the lower sum stays 1, the upper is n.
    adler = ((mebibytes << 20) % 65521 << 16) | 1
    return b"\x78\xda" + mebibyte * mebibytes + b"\x03\x00" + struct.pack(">I", adler)


def _empty(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return "png", b""


def _text(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return "jpg", b"<html><body>404: this picture is gone</body></html>\n"


def _huge(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    png = encoded(image)
    return "png", png[:8] + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)) + png[33:]


def _inflating(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    begins = (b"zTXt", b"Comment\0\0"), (b"iCCP", b"profile\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")
    kind, begin = begins[rng.integers(3)]
    return "png", with_chunk(encoded(image), png_chunk(kind, begin + deflate_bomb(2048)))


def _truncated(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    kind, ending = (("PNG", "png"), ("JPEG", "jpg"), ("GIF", "gif"), ("WEBP", "webp"))[rng.integers(4)]
    whole = encoded(image, kind)
    return ending, whole[: int(len(whole) * rng.uniform(0.2, 0.95))]


def _undecodable(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    content = bytearray(encoded(image))
    place = content.index(b"IDAT") + 4
    for byte in rng.integers(place, len(content) - 16, 8):
        content[byte] ^= 0x55
    return "png", bytes(content)


def _damaged(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    content = bytearray(encoded(image, "JPEG", quality=90))
    scan = content.index(b"\xff\xda") + 20
    middle = int(rng.integers(scan, scan + (len(content) - scan) // 2))
    # A stretch that a faulty disk filled with zeros.
    content[middle : middle + 64] = bytes(64)
    return "jpg", bytes(content)


def _animated(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    kind, ending = (("GIF", "gif"), ("WEBP", "webp"), ("PNG", "png"))[rng.integers(3)]
    return ending, encoded(image, kind, save_all=True, append_images=[image.rotate(90), image.rotate(180)], duration=100)


def _misnamed(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return "png", encoded(image, "JPEG", quality=95)


def _tiny(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return "png", encoded(image.resize((20, 20)))


def _strip(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return "png", encoded(image.resize((image.width * 4, image.height)))


def _dark(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return "png", encoded(image.point(lambda level: level * 0.25))


def _light(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return "png", encoded(image.point(lambda level: 244 + level * 11 // 255))


def _flat(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    # A placeholder: one colour and a word.
    flat = Image.new("RGB", image.size, (200, 60, 60))
    side = image.width // 4
    flat.paste((255, 255, 255), (side, side, side * 2 + int(rng.integers(side)), side * 2))
    return "png", encoded(flat)


def _blurred(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return "png", encoded(image.filter(ImageFilter.GaussianBlur(3)))


def _greyed(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return "png", encoded(image.convert("L").convert("RGB"))


# Reason of the tally → fault.
FAULTS: dict[str, Fault] = {
    "empty": _empty,
    "wrong_type": _text,
    "too_many_pixels": _huge,
    "metadata_bomb": _inflating,
    "truncated": _truncated,
    "undecodable": _undecodable,
    "damaged": _damaged,
    "multi_frame": _animated,
    "wrong_extension": _misnamed,
    "too_small": _tiny,
    "odd_aspect": _strip,
    "too_dark": _dark,
    "too_light": _light,
    "low_information": _flat,
    "blurry": _blurred,
    "near_grey": _greyed,
}


def _jpeg(image: Image.Image, *, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(encoded(image, "JPEG", quality=quality)))


def _scaled(image: Image.Image, *, by: float) -> Image.Image:
    return image.resize((round(image.width * by), round(image.height * by)), Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, *, share: float) -> Image.Image:
    x, y = max(1, round(image.width * share / 2)), max(1, round(image.height * share / 2))
    return image.crop((x, y, image.width - x, image.height - y))


def _brighter(image: Image.Image, *, by: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(by)


def _contrasted(image: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(1.3)


def _mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


# What was done to a copy → the copy.
LOOKALIKES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 90": partial(_jpeg, quality=90),
    "JPEG quality 50": partial(_jpeg, quality=50),
    "half the size": partial(_scaled, by=0.5),
    "twice the size": partial(_scaled, by=2),
    "2 % cropped": partial(_cropped, share=0.02),
    "6 % cropped": partial(_cropped, share=0.06),
    "12 % cropped": partial(_cropped, share=0.12),
    "20 % brighter": partial(_brighter, by=1.2),
    "30 % darker": partial(_brighter, by=0.7),
    "30 % more contrast": _contrasted,
    "mirrored": _mirrored,
}
