"""How images are kept: their own bytes, written anew, pixels; and in which size."""

import io

import numpy as np
import pytest
from PIL import Image

from bigdata_ml.prepare.images.decode import Decoded
from bigdata_ml.prepare.images.encode import PictureStorage, in_channels, pixels_of_file, thumbnail, thumbnail_of_file

WIDE = Image.fromarray(np.random.default_rng(5).integers(0, 256, (60, 120, 3), np.uint8))
OWN = b"the file's own bytes"


def stored(storage: PictureStorage, image: Image.Image = WIDE, *, kind: str = "JPEG", plain: bool = True) -> bytes:
    return storage.bytes_of(storage.resized(image), Decoded(image, kind, plain), OWN)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("encoding", ["auto", "source"])
def test_what_decodes_by_itself_keeps_its_bytes(encoding: str) -> None:
    assert stored(PictureStorage(encoding=encoding)) == OWN  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "written"), [("JPEG", "JPEG"), ("PNG", "PNG"), ("GIF", "PNG"), ("WEBP", "PNG"), ("TIFF", "PNG")]
)
def test_what_does_not_is_written_anew_in_its_kind(kind: str, written: str) -> None:
    assert opened(stored(PictureStorage(), kind=kind, plain=False)).format == written


def test_a_small_jpeg_is_written_anew_without_loss() -> None:
    small = WIDE.crop((0, 0, 40, 40))
    again = opened(stored(PictureStorage(), small, plain=False))
    assert again.format == "PNG"
    assert np.array_equal(np.asarray(again), np.asarray(small))


def test_every_image_becomes_a_jpeg_of_the_quality_asked_for() -> None:
    poor, good = (stored(PictureStorage(encoding="jpeg", jpeg_quality=quality)) for quality in (20, 95))
    assert opened(poor).format == opened(good).format == "JPEG"
    assert len(poor) < len(good) / 2
    assert opened(stored(PictureStorage(encoding="jpeg"), WIDE.convert("L"))).mode == "L"


def test_pixels_are_kept_as_they_are() -> None:
    pixels = np.frombuffer(stored(PictureStorage(encoding="raw")), np.uint8).reshape(60, 120, 3)
    assert np.array_equal(pixels, np.asarray(WIDE))


@pytest.mark.parametrize(("side", "size"), [(30, (60, 30)), (60, (120, 60)), (100, (120, 60))])
def test_a_shorter_side_is_reduced_and_never_enlarged(side: int, size: tuple[int, int]) -> None:
    assert PictureStorage(shorter_side=side).resized(WIDE).size == size


def test_an_image_that_is_resized_is_written_anew() -> None:
    assert opened(stored(PictureStorage(shorter_side=30), kind="PNG")).size == (60, 30)


@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("size", ["30x30", "90x50", "1x7"])
def test_every_image_gets_the_size_asked_for(fit: str, size: str) -> None:
    height, width = map(int, size.split("x"))
    assert PictureStorage(size=size, fit=fit).resized(WIDE).size == (width, height)  # type: ignore[arg-type]


def test_a_crop_keeps_the_middle_and_the_aspect() -> None:
    halves = Image.new("RGB", (120, 60))
    halves.paste((255, 0, 0), (30, 0, 90, 60))
    assert np.asarray(PictureStorage(size="60x60").resized(halves))[:, :, 0].min() == 255
    assert np.asarray(PictureStorage(size="60x60", fit="stretch").resized(halves))[:, 0, 0].max() == 0


def test_grey_is_repeated_where_others_have_colour() -> None:
    stream = io.BytesIO()
    WIDE.convert("L").save(stream, "PNG")
    assert pixels_of_file(stream.getvalue(), 3).shape == (60, 120, 3)
    assert in_channels(np.zeros((2, 3), np.uint8), 1).shape == (2, 3, 1)


def test_a_thumbnail_has_at_most_64_pixels_a_side() -> None:
    assert opened(thumbnail(WIDE.copy())).size == (64, 32)


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("JPEG", "RGB"), ("PNG", "L"), ("JPEG", "L")])
def test_a_thumbnail_of_a_file_shows_it_in_its_mode_and_without_its_profile(kind: str, mode: str) -> None:
    stream = io.BytesIO()
    WIDE.convert(mode).save(stream, kind, icc_profile=bytes(3000))
    small = opened(thumbnail_of_file(stream.getvalue(), len(mode)))
    assert (small.mode, small.size) == (mode, (64, 32))
    assert "icc_profile" not in small.info
    whole = np.asarray(opened(thumbnail(opened(stream.getvalue()).copy())), np.int16)
    assert np.abs(np.asarray(small, np.int16) - whole).mean() < 4


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"jpeg_quality": 0}, r"jpeg_quality must lie in \[1, 100\]"),
        ({"shorter_side": 0}, "at least 1 pixel"),
        ({"size": "224"}, "HEIGHTxWIDTH"),
        ({"size": "0x5"}, "HEIGHTxWIDTH"),
        ({"size": "5x5", "shorter_side": 5}, "give one of them"),
    ],
)
def test_storage_that_makes_no_sense_is_a_wrong_argument(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        PictureStorage(**options)  # type: ignore[arg-type]
