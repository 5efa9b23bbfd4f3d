"""One image file to pixels: judged by its header before it is decoded, and brought to grey or RGB of 8 bits."""

import io
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import simplejpeg
from PIL import Image, ImageCms, ImageColor, ImageFile

from bigdata_ml.schema.picture_file import (
    MOST_PIXELS,
    ImageRefused,
    check_jpeg,
    check_most_pixels,
    has_frames,
    kind_of,
    opened_picture,
    refusing_broken,
)

__all__ = ["ENDINGS", "Decoded", "ImageRefused", "PictureRules", "decode_picture", "partial_picture"]

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
# What simplejpeg raises for what Pillow may still read: a colour space or sampling that it has no name for is a KeyError.
_BROKEN_JPEG = (ValueError, KeyError)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureRules:
    """How image files become pixels.

    Attributes:
        max_pixels: height × width that an image may have by its header, 1 … 178,956,970; more is refused before anything
            is decoded. A pixel takes 3 bytes, and up to three copies are held at once.
        frames: `refuse` refuses animations and files of several pages, `first` takes their first frame.
        background: what shines through transparent pixels: a colour by name or as #rrggbb.
    """

    max_pixels: int = MOST_PIXELS
    frames: Literal["refuse", "first"] = "refuse"
    background: str = "white"

    def __post_init__(self) -> None:
        check_most_pixels(self.max_pixels)
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


def decode_picture(content: bytes, rules: PictureRules) -> Decoded:
    """Return the file's image.

    Raises:
        ImageRefused: `empty`, `wrong_type`, `too_many_pixels`, `metadata_bomb`, `multi_frame`, `truncated` or `undecodable`.
    """
    kind = kind_of(content)
    with warnings.catch_warnings():
        # What Pillow warns of in EXIF data does not change pixels.
        warnings.simplefilter("ignore")
        return _decoded(content, kind, rules)


def _decoded(content: bytes, kind: str, rules: PictureRules) -> Decoded:
    with opened_picture(content, kind, rules.max_pixels) as opened:
        frames = has_frames(opened)
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
    try:
        if kind_of(content) != "JPEG":
            return None
        check_jpeg(content, rules.max_pixels)
        with refusing_broken(content, "JPEG"):
            return Image.fromarray(simplejpeg.decode_jpeg(content, strict=False, min_height=64, min_width=64, min_factor=1))
    except ImageRefused:
        return None


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
        with refusing_broken(b"", "EXIF"):
            turns = _TURNS.get(opened.getexif().get(_ORIENTATION, 1), ())
    except ImageRefused:
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
