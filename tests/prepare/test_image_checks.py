"""What images look like, in numbers, and the perceptual hash."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from bigdata_ml.prepare.images.checks import CHECKS, ImageChecks, Looks, looks_of
from bigdata_ml.prepare.images.duplicates.perceptual_hash import perceptual_hash

RNG = np.random.default_rng(11)
NOISE = RNG.integers(0, 256, (48, 64, 3), np.uint8)
CHECKED = ImageChecks()


def looks(array: np.ndarray) -> Looks:
    image = Image.fromarray(array)
    return looks_of(image, image.convert("L"))


def found(array: np.ndarray, checks: ImageChecks = CHECKED) -> list[str]:
    return [name for name, _ in checks.found(looks(array))]


def picture(seed: int) -> Image.Image:
    """Coarse blobs of colour with fine noise, some 200 × 150 pixels."""
    rng = np.random.default_rng(seed)
    blobs = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((200, 150), Image.Resampling.BICUBIC)
    noise = rng.integers(-12, 12, (150, 200, 3))
    return Image.fromarray(np.clip(np.asarray(blobs).astype(int) + noise, 0, 255).astype(np.uint8))


def test_noise_passes_every_check() -> None:
    assert found(NOISE) == []


def test_the_numbers_are_those_of_the_definitions() -> None:
    grey = RNG.integers(0, 256, (40, 50), np.uint8)
    measured = looks(grey)
    levels, counts = np.unique(grey, return_counts=True)
    shares = counts / grey.size
    wide = grey.astype(int)
    edges = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * wide[1:-1, 1:-1]
    assert (measured.height, measured.width, measured.colour) == (40, 50, None)
    assert measured.entropy == pytest.approx(-(shares * np.log2(shares)).sum())
    assert measured.sharpness == pytest.approx(edges.var())
    assert measured.darkest * 255 == np.percentile(grey, 5, method="inverted_cdf")
    assert measured.brightest * 255 == np.percentile(grey, 99, method="inverted_cdf")
    assert len(levels) > 100


@pytest.mark.parametrize("seed", range(3))
def test_colour_is_what_99_of_100_pixels_channels_differ_by_at_most(seed: int) -> None:
    # Not wider than what is judged unreduced, and with the greatest edges that there can be.
    array = np.asarray(picture(seed)).copy()
    array[::2, ::2], array[1::2, ::2] = 0, 255
    levels = np.asarray(Image.fromarray(array).convert("L")).astype(float)
    edges = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:] - 4 * levels[1:-1, 1:-1]
    measured = looks(array)
    assert measured.colour == np.percentile(np.ptp(array, axis=2), 99, method="inverted_cdf")
    assert measured.sharpness == pytest.approx(edges.var())


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (NOISE[:20, :], "too_small"),
        (NOISE[:, :16], "odd_aspect"),
        (NOISE // 4, "too_dark"),
        (244 + NOISE // 24, "too_light"),
        (np.where(NOISE[:, :, :1] > 128, 200, 100).repeat(3, 2).astype(np.uint8), "low_information"),
        (np.asarray(Image.fromarray(NOISE).filter(ImageFilter.GaussianBlur(6))), "blurry"),
        (NOISE[:, :, :1].repeat(3, 2), "near_grey"),
    ],
)
def test_each_fault_of_looks_is_found(array: np.ndarray, name: str) -> None:
    assert name in found(array, ImageChecks(min_side=24))


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [("min_side", 49, "too_small"), ("min_aspect", 0.8, "odd_aspect"), ("dark", 1.0, "too_dark"), ("light", 0.0, "too_light"),
     ("min_entropy", 8.0, "low_information"), ("min_sharpness", 1e6, "blurry"), ("min_colour", 256, "near_grey")],
)  # fmt: skip
def test_each_threshold_is_an_option(option: str, value: float, name: str) -> None:
    assert found(NOISE, ImageChecks(**{option: value})) == [name]  # type: ignore[arg-type]


def test_images_of_less_than_32_pixels_are_not_judged_by_their_looks() -> None:
    assert found(np.zeros((31, 40, 3), np.uint8)) == []
    assert found(np.zeros((32, 40, 3), np.uint8)) == ["too_dark", "low_information", "blurry", "near_grey"]


def test_a_grey_image_is_not_called_a_coloured_one_without_colour() -> None:
    assert found(NOISE[:, :, 0]) == []


def test_a_large_image_is_judged_as_a_small_one_of_the_same() -> None:
    small = picture(1)
    large = small.resize((800, 600), Image.Resampling.NEAREST)
    assert looks_of(large, large.convert("L")).sharpness == looks_of(small, small.convert("L")).sharpness


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"refuse": ("unsharp",)}, "refuse takes damaged, .*'unsharp'"),
        ({"ignore": ("dark",)}, "'dark'"),
        ({"refuse": ("blurry",), "ignore": ("blurry",)}, "not both: 'blurry'"),
        ({"dark": 1.5}, r"dark must lie in \[0, 1\], got 1.5"),
        ({"min_entropy": 9.0}, r"min_entropy must lie in \[0, 8\]"),
    ],
)
def test_checks_that_make_no_sense_are_wrong_arguments(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ImageChecks(**options)  # type: ignore[arg-type]
    assert "blurry" in CHECKS


def bits_apart(image: Image.Image, other: Image.Image) -> int:
    first, second = perceptual_hash(image.convert("L")), perceptual_hash(other.convert("L"))
    assert first is not None
    assert second is not None
    return ((first ^ second) & (2**64 - 1)).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_and_its_copies_have_nearly_the_same_hash(seed: int) -> None:
    image = picture(seed)
    for copy in (image.resize((100, 75)), image.convert("L"), ImageEnhance.Brightness(image).enhance(0.8)):
        assert bits_apart(image, copy) <= 6


def test_different_pictures_have_hashes_that_differ_in_about_half_the_bits() -> None:
    apart = [bits_apart(picture(seed), picture(seed + 1)) for seed in range(20)]
    assert min(apart) > 12
    assert 24 < np.mean(apart) < 40


def test_a_hash_is_the_same_on_every_machine() -> None:
    ramp = np.add.outer(np.arange(64) * 3, np.arange(64)).astype(np.uint8)
    assert perceptual_hash(Image.fromarray(ramp)) == 6053119378457690113


def test_an_image_that_shows_nothing_has_no_hash() -> None:
    assert perceptual_hash(Image.new("L", (64, 64), 200)) is None
    faint = (200 + RNG.integers(0, 3, (64, 64))).astype(np.uint8)
    assert perceptual_hash(Image.fromarray(faint)) is None
