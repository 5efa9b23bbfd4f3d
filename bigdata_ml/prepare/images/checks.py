"""What an image looks like, in numbers, and which of them are worth a warning or a refusal."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

__all__ = ["CHECKS", "LEAST_SIDE", "ImageChecks", "Looks", "looks_of"]

# In the order in which an image is judged: the first check that refuses gives the reason.
CHECKS = (
    "damaged",
    "wrong_extension",
    "multi_frame",
    "too_small",
    "odd_aspect",
    "too_dark",
    "too_light",
    "low_information",
    "blurry",
    "near_grey",
)
# The thresholds below were measured on images of at least this shorter side, in pixels; smaller ones are not judged by them.
LEAST_SIDE = 32
# Sharpness and colour are judged at this longer side, which is about what networks see.
_JUDGED_SIDE = 256


@dataclass(frozen=True, slots=True)
class Looks:
    """An image in numbers.

    Attributes:
        height, width: in pixels, upright.
        darkest: brightness (0 … 1) that 5 % of the pixels do not exceed.
        brightest: brightness that 99 % of the pixels do not exceed.
        entropy: of the grey levels, 0 … 8 bits.
        sharpness: variance of the Laplacian of the grey levels at a longer side of at most 256 pixels, 0 ….
        colour: difference between the strongest and the weakest channel (0 … 255) that 99 % of the pixels do not exceed;
            None for a grey image.
    """

    height: int
    width: int
    darkest: float
    brightest: float
    entropy: float
    sharpness: float
    colour: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageChecks:
    """What is noticed about images that decode. What is noticed is counted as a warning unless `refuse` names it.

    Attributes:
        refuse: checks whose images are refused: damaged, wrong_extension, too_small, odd_aspect, too_dark, too_light,
            low_information, blurry, near_grey.
        ignore: checks that are not made.
        min_side: shorter side in pixels below which an image is too_small; 0 takes any.
        min_aspect: shorter by longer side (0 … 1) below which an image has an odd_aspect.
        dark: too_dark is an image of which 99 % of the pixels are darker than this brightness, 0 … 1.
        light: too_light is one of which 95 % of the pixels are brighter than this, 0 … 1.
        min_entropy: of the grey levels, in bits, below which an image has low_information, 0 … 8.
        min_sharpness: variance of the Laplacian below which an image is blurry.
        min_colour: difference between channels (0 … 255) that 1 % of a coloured image's pixels must reach, or it is near_grey.
    """

    refuse: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_side: int = 0
    min_aspect: float = 0.35
    dark: float = 0.32
    light: float = 0.95
    min_entropy: float = 3.0
    min_sharpness: float = 40.0
    min_colour: int = 12

    def __post_init__(self) -> None:
        for option, names in (("refuse", self.refuse), ("ignore", self.ignore)):
            unknown = sorted(set(names) - set(CHECKS))
            if unknown:
                raise ValueError(f"{option} takes {', '.join(CHECKS)}, got {unknown[0]!r}")
        both = sorted(set(self.refuse) & set(self.ignore))
        if both:
            raise ValueError(f"a check is refused or ignored, not both: {both[0]!r}")
        for name, least, most in (("min_aspect", 0, 1), ("dark", 0, 1), ("light", 0, 1), ("min_entropy", 0, 8)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie in [{least}, {most}], got {getattr(self, name)}")

    def found(self, looks: Looks) -> Iterator[tuple[str, str]]:
        """Yield the name of each check that the image does not pass, and what was measured, in the order of `CHECKS`."""
        sides = sorted((looks.height, looks.width))
        if sides[0] < self.min_side:
            yield "too_small", f"{looks.height} × {looks.width} pixels; --min-side is {self.min_side}"
        if sides[0] < self.min_aspect * sides[1]:
            yield "odd_aspect", f"{looks.height} × {looks.width} pixels; --min-aspect is {self.min_aspect}"
        if sides[0] < LEAST_SIDE:
            return
        if looks.brightest < self.dark:
            yield "too_dark", f"99 % of the pixels have a brightness of at most {looks.brightest:.3f}; --dark is {self.dark}"
        if looks.darkest > self.light:
            yield "too_light", f"95 % of the pixels have a brightness above {looks.darkest:.3f}; --light is {self.light}"
        if looks.entropy < self.min_entropy:
            yield "low_information", f"an entropy of {looks.entropy:.2f} bits; --min-entropy is {self.min_entropy}"
        if looks.sharpness < self.min_sharpness:
            yield "blurry", f"a variance of the Laplacian of {looks.sharpness:.1f}; --min-sharpness is {self.min_sharpness}"
        if looks.colour is not None and looks.colour < self.min_colour:
            yield "near_grey", f"99 % of the pixels' channels differ by at most {looks.colour}; --min-colour is {self.min_colour}"


def looks_of(image: Image.Image, grey: Image.Image) -> Looks:
    """Return the numbers of an image (mode L or RGB), `grey` being itself in mode L."""
    counts = np.array(grey.histogram(), np.int64)
    below = np.cumsum(counts)
    shares = counts[counts > 0] / below[-1]
    return Looks(
        height=image.height,
        width=image.width,
        darkest=int(np.searchsorted(below, math.ceil(0.05 * below[-1]))) / 255,
        brightest=int(np.searchsorted(below, math.ceil(0.99 * below[-1]))) / 255,
        entropy=float(-(shares * np.log2(shares)).sum()),
        sharpness=_laplacian_variance(_judged(grey)),
        colour=None if image.mode == "L" else _colour(_judged(image)),
    )


def _judged(image: Image.Image) -> Image.Image:
    factor = -(-max(image.size) // _JUDGED_SIDE)
    return image.reduce(factor) if factor > 1 else image


def _laplacian_variance(grey: Image.Image) -> float:
    levels = np.asarray(grey).astype(np.int16)
    if min(levels.shape) < 3:
        return 0.0
    edges = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:] - 4 * levels[1:-1, 1:-1]
    # From whole sums, so that it does not depend on the order of adding.
    count, total = edges.size, int(edges.sum(dtype=np.int64))
    wide = edges.astype(np.int32)
    squares = int((wide * wide).sum(dtype=np.int64))
    return (squares * count - total * total) / (count * count)


def _colour(image: Image.Image) -> int:
    # Channel by channel: over an axis of three numpy takes ten times as long.
    red, green, blue = np.moveaxis(np.asarray(image), 2, 0)
    apart = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    below = np.cumsum(np.bincount(apart.ravel(), minlength=256))
    return int(np.searchsorted(below, math.ceil(0.99 * apart.size)))
