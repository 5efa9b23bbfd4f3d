"""One image file to pixels: judged by its header before it is decoded, and brought to grey or RGB of 8 bits."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import simplejpeg
from PIL import Image, ImageCms, ImageColor, ImageFile

__all__ = ["ENDINGS", "Decoded", "ImageRefused", "PictureRules", "decode_picture", "kind_of", "partial_picture"]

# Beyond this Pillow refuses by itself, whatever is asked for.
_PILLOWS_LIMIT = 2 * 89_478_485

# How files of the formats we decode begin (at most the first 12 bytes), and what Pillow calls them.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
)
# What the name of a file says it is; other endings say nothing.
ENDINGS = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif"), "JPEG"),
    **dict.fromkeys(("png", "apng"), "PNG"),
    **dict.fromkeys(("tif", "tiff"), "TIFF"),
    **dict.fromkeys(("bmp", "dib"), "BMP"),
    "gif": "GIF",
    "webp": "WEBP",
}
# What the reader decodes as it lies; the others are written anew.
_KEPT_KINDS = ("JPEG", "PNG", "WEBP")
_ORIENTATION = 0x0112
_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
# What Pillow raises for broken data: its own errors are OSErrors, its PNG reader raises SyntaxError, header fields the rest.
_BROKEN = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, AttributeError, RuntimeError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
# What simplejpeg raises: a colour space or sampling that it has no name for is a KeyError.
_BROKEN_JPEG = (ValueError, KeyError)


class ImageRefused(Exception):
    """An image that is not decoded, or not to its end: `reason` is the tally's, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureRules:
    """How image files become pixels.

    Attributes:
        max_pixels: height × width that an image may have by its header, 1 … 178,956,970; more is refused before anything
            is decoded. A pixel takes 3 bytes, and up to three copies are held at once.
        frames: `refuse` refuses animations and files of several pages, `first` takes their first frame.
        background: what shines through transparent pixels: a colour by name or as #rrggbb.
    """

    max_pixels: int = 89_478_485
    frames: Literal["refuse", "first"] = "refuse"
    background: str = "white"

    def __post_init__(self) -> None:
        if not 1 <= self.max_pixels <= _PILLOWS_LIMIT:
            raise ValueError(f"max_pixels must lie in [1, {_PILLOWS_LIMIT}], got {self.max_pixels}")
        ImageColor.getrgb(self.background)

    @property
    def colour(self) -> tuple[int, int, int]:
        """The background as red, green, blue, each 0 … 255."""
        red, green, blue, *_ = ImageColor.getrgb(self.background)
        return red, green, blue


@dataclass(frozen=True, slots=True)
class Decoded:
    """A whole image.

    Attributes:
        image: grey (mode L) or RGB, 8 bits a channel, upright.
        kind: JPEG, PNG, GIF, BMP, TIFF or WEBP, by the file's content.
        plain: whether the file's own bytes decode to these pixels without what was done here.
        notes: names of what was noticed: `damaged`, `multi_frame`.
    """

    image: Image.Image
    kind: str
    plain: bool
    notes: tuple[str, ...] = ()


def kind_of(content: bytes) -> str | None:
    """Return the format that the first bytes are of, or None if it is none that is decoded here."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for begin, kind in _SIGNATURES if content.startswith(begin)), None)


def decode_picture(content: bytes, rules: PictureRules) -> Decoded:
    """Return the file's image.

    Raises:
        ImageRefused: `empty`, `wrong_type`, `too_many_pixels`, `metadata_bomb`, `multi_frame`, `truncated` or `undecodable`.
    """
    if not content:
        raise ImageRefused("empty", "the file has no bytes")
    kind = kind_of(content)
    if kind is None:
        raise ImageRefused("wrong_type", f"no image format begins like this: its first bytes are {content[:12]!r}")
    with _refusing(content, kind), _opened(content, kind) as opened:
        _check_header(opened, rules)
        frames = _has_frames(opened)
        if frames and rules.frames == "refuse":
            raise ImageRefused("multi_frame", f"the {kind} holds more than one frame; --frames first would take the first")
        image, damaged = _loaded(opened, content, kind)
        upright, turned = _upright(image, opened)
        final, flattened = _flattened(upright, opened.info, rules.colour)
    # Damaged ones are written anew, so that no reader has to complain again.
    plain = kind in _KEPT_KINDS and not (turned or flattened or frames or damaged)
    notes = [name for name, noticed in (("damaged", damaged), ("multi_frame", frames)) if noticed]
    return Decoded(final, kind, plain, tuple(notes))


def partial_picture(content: bytes, rules: PictureRules) -> Image.Image | None:
    """Return what can be seen of a JPEG that is broken, its header being within the limits; None for others."""
    if kind_of(content) != "JPEG":
        return None
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(content, strict=False)
        if height * width > rules.max_pixels:
            return None
        return Image.fromarray(simplejpeg.decode_jpeg(content, strict=False, min_height=64, min_width=64, min_factor=1))
    except _BROKEN_JPEG:
        return None


@contextmanager
def _opened(content: bytes, kind: str) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        # Limits are ours, and what Pillow warns of in EXIF data does not change pixels.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            yield image


@contextmanager
def _refusing(content: bytes, kind: str) -> Iterator[None]:
    """Turn what Pillow raises into the reason it stands for."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageRefused("too_many_pixels", str(error)) from error
    except _BROKEN as error:
        text = str(error) or type(error).__name__
        if kind == "PNG" and ("Decompressed data too large" in text or "Too much memory used in text chunks" in text):
            raise ImageRefused("metadata_bomb", f"a compressed text or profile inflates beyond its limit: {text}") from error
        cut = "truncated" in text.lower() or _is_cut(content, kind)
        raise ImageRefused("truncated" if cut else "undecodable", text) from error


def _check_header(image: Image.Image, rules: PictureRules) -> None:
    width, height = image.size
    if width * height > rules.max_pixels:
        text = f"its header says {height} × {width}, which is more than the {rules.max_pixels} pixels of --max-pixels"
        raise ImageRefused("too_many_pixels", text)


def _has_frames(image: Image.Image) -> bool:
    # An MPO is a photograph with a second one for depth or brightness beside it: phones write them, the first is the picture.
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _loaded(opened: Image.Image, content: bytes, kind: str) -> tuple[Image.Image, bool]:
    """Return the pixels as they lie in the file, and whether the decoder complained and went on."""
    if kind != "JPEG" or opened.mode not in ("L", "RGB"):
        opened.load()
        return opened, False
    try:
        # The reader's decoder, so that what is measured here is what is trained on.
        array = simplejpeg.decode_jpeg(content, colorspace="GRAY" if opened.mode == "L" else "RGB")
    except _BROKEN_JPEG:
        opened.load()
        return opened, True
    return Image.fromarray(array[:, :, 0] if opened.mode == "L" else array), False


def _upright(image: Image.Image, opened: Image.Image) -> tuple[Image.Image, bool]:
    """Return the image turned as its EXIF orientation (1 … 8) says, and whether it was."""
    try:
        turns = _TURNS.get(opened.getexif().get(_ORIENTATION, 1), ())
    except _BROKEN:
        # EXIF data that cannot be read say nothing.
        return image, False
    for turn in turns:
        image = image.transpose(turn)
    return image, bool(turns)


def _flattened(image: Image.Image, info: dict, background: tuple[int, int, int]) -> tuple[Image.Image, bool]:  # type: ignore[type-arg]
    """Return the image as L or RGB, and whether that took more than a change of mode."""
    if image.mode.startswith("I;16"):
        # 65535 becomes 255: by 257, rounded. Pillow alone would cut every value above 255 down to 255.
        values = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)), True
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels have 32 bits (mode {image.mode}), whose range no one knows; convert it to 8 bits first")
    if image.mode == "CMYK":
        return _from_cmyk(image, info.get("icc_profile")), True
    if image.has_transparency_data:
        return _on_background(image, background)
    if image.mode in ("L", "RGB") and not isinstance(image, ImageFile.ImageFile):
        # What came of an array; to convert would be to copy.
        return image, False
    return image.convert("L" if image.mode in ("1", "L") else "RGB"), False


def _from_cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return inks as RGB: by the embedded profile where there is one, else by the simple formula.

    Pillow has turned Adobe's inverted values already; like browsers it takes every CMYK JPEG for one of Adobe's.
    """
    if profile:
        try:
            return _by_profile(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            # A profile that cannot be used says nothing.
            pass
    return image.convert("RGB")


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    target = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), target, outputMode="RGB")
    if converted is None:
        raise ValueError("no image came of the profile")
    return converted


def _on_background(image: Image.Image, background: tuple[int, int, int]) -> tuple[Image.Image, bool]:
    grey = image.mode in ("LA", "La", "L", "1")
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return rgba.convert("L" if grey else "RGB"), False
    composed = Image.new("RGB", rgba.size, background)
    composed.paste(rgba.convert("RGB"), mask=alpha)
    # Grey on grey stays grey.
    return (composed.convert("L") if grey and len(set(background)) == 1 else composed), True


def _is_cut(content: bytes, kind: str) -> bool:
    """Whether the file ends before its format says it does."""
    if kind == "PNG":
        return not _ends_png(content)
    if kind == "JPEG":
        scan = content.find(b"\xff\xda")
        return scan < 0 or content.find(b"\xff\xd9", scan) < 0
    if kind == "GIF":
        return not content.rstrip(b"\x00").endswith(b";")
    if kind in ("WEBP", "BMP"):
        place, more = (4, 8) if kind == "WEBP" else (2, 0)
        return len(content) < int.from_bytes(content[place : place + 4], "little") + more
    return False


def _ends_png(content: bytes) -> bool:
    place = 8
    while place + 12 <= len(content):
        if content[place + 4 : place + 8] == b"IEND":
            return True
        place += 12 + int.from_bytes(content[place : place + 4], "big")
    return False
