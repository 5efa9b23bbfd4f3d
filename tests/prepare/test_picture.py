"""One file to pixels: what is refused before, while and after decoding, and how every kind of image becomes grey or RGB."""

import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from forged_pictures import FORGED
from PIL import Image, ImageCms

from bigdata_ml.prepare.images.decode import Decoded, ImageRefused, PictureRules, decode_picture, partial_picture

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/dirty_images"))

from faults import deflate_bomb, encoded, png_chunk, with_chunk

RULES = PictureRules()
RNG = np.random.default_rng(3)
# Smooth, so that JPEG changes it little.
SMOOTH = Image.fromarray(RNG.integers(0, 256, (4, 5, 3), np.uint8)).resize((50, 40), Image.Resampling.BICUBIC)


def decoded(image: Image.Image, kind: str = "PNG", rules: PictureRules = RULES, **options: object) -> Decoded:
    return decode_picture(encoded(image, kind, **options), rules)


def refused(content: bytes, rules: PictureRules = RULES) -> tuple[str, str]:
    with pytest.raises(ImageRefused) as error:
        decode_picture(content, rules)
    return error.value.reason, error.value.detail


def largest_difference(image: Image.Image, other: Image.Image) -> int:
    return int(np.abs(np.asarray(image).astype(int) - np.asarray(other).astype(int)).max())


def test_a_file_without_bytes_is_empty() -> None:
    assert refused(b"")[0] == "empty"


@pytest.mark.parametrize("content", [b"<html>404</html>", b"\x00" * 100, b"%PDF-1.7", b"RIFF\x10\x00\x00\x00WAVEfmt "])
def test_bytes_that_begin_like_no_image_are_of_the_wrong_type(content: bytes) -> None:
    assert refused(content)[0] == "wrong_type"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_file_cut_anywhere_in_its_pixels_is_truncated(kind: str) -> None:
    content = encoded(SMOOTH, kind)
    reasons = {refused(content[:cut])[0] for cut in range(16, len(content) * 9 // 10, max(1, len(content) // 40))}
    assert reasons == {"truncated"}


def test_a_png_whose_bytes_are_changed_is_undecodable() -> None:
    content = bytearray(encoded(SMOOTH))
    content[content.index(b"IDAT") + 20] ^= 0xFF
    assert refused(bytes(content))[0] == "undecodable"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_whatever_bytes_are_changed_a_file_is_decoded_or_refused(kind: str) -> None:
    content = encoded(SMOOTH, kind)
    rng = np.random.default_rng(len(content))
    for _ in range(300):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 5):
            changed[place] = rng.integers(256)
        with suppress(ImageRefused):
            assert decode_picture(bytes(changed), RULES).image.mode in ("L", "RGB")
        partial_picture(bytes(changed), RULES)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_picture_is_refused_for_its_reason_and_twice_the_same(name: str) -> None:
    content, reason = FORGED[name]
    first = refused(content)
    assert first[0] == reason
    assert "0x" not in first[1]
    assert refused(content) == first
    assert partial_picture(content, RULES) is None


def test_more_pixels_than_allowed_are_refused_by_the_header_alone() -> None:
    reason, detail = refused(encoded(SMOOTH), PictureRules(max_pixels=1999))
    assert reason == "too_many_pixels"
    assert "40 × 50" in detail
    assert decode_picture(encoded(SMOOTH), PictureRules(max_pixels=2000)).image.size == (50, 40)


BOMBS = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import struct
from PIL import Image
from faults import deflate_bomb, encoded, png_chunk, with_chunk
from bigdata_ml.prepare.images.decode import ImageRefused, PictureRules, decode_picture
png = encoded(Image.new("RGB", (4, 4)))
bomb = deflate_bomb(4096)
header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
files = [png[:8] + png_chunk(b"IHDR", header) + png[33:]]
for kind, begin in ((b"zTXt", b"a" + bytes(2)), (b"iCCP", b"a" + bytes(2)), (b"iTXt", b"a" + bytes([0, 1, 0, 0, 0]))):
    chunk = png_chunk(kind, begin + bomb)
    files += [with_chunk(png, chunk), png[:-12] + chunk + png[-12:]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for content in files:
    try:
        decode_picture(content, PictureRules())
        print("decoded")
    except ImageRefused as error:
        print(error.reason)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_bombs_are_refused_in_a_few_mebibytes() -> None:
    faults = Path(__file__).parents[2] / "examples/dirty_images"
    done = subprocess.run([sys.executable, "-c", BOMBS, str(faults)], capture_output=True, text=True, check=True)
    *reasons, mebibytes = done.stdout.split()
    assert reasons == ["too_many_pixels", *["metadata_bomb"] * 6]
    # The chunks would inflate to 4 GiB each, the pixels to 10 GiB.
    assert int(mebibytes) < 100


def test_pixels_that_inflate_beyond_the_header_are_not_inflated() -> None:
    png = encoded(Image.new("RGB", (4, 4)))
    content = png[:33] + png_chunk(b"IDAT", deflate_bomb(64)) + png_chunk(b"IEND", b"")
    assert decode_picture(content, RULES).image.size == (4, 4)


def test_a_large_honest_text_is_no_bomb() -> None:
    chunk = png_chunk(b"tEXt", b"Comment\0" + b"a" * (3 << 20))
    assert largest_difference(decode_picture(with_chunk(encoded(SMOOTH), chunk), RULES).image, SMOOTH) == 0


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_more_than_one_frame_is_refused_or_the_first_is_taken(kind: str) -> None:
    content = encoded(SMOOTH, kind, save_all=True, append_images=[SMOOTH.rotate(90), SMOOTH.rotate(180)])
    assert refused(content)[0] == "multi_frame"
    first = decode_picture(content, PictureRules(frames="first"))
    assert (first.notes, first.plain) == (("multi_frame",), False)
    assert largest_difference(first.image, SMOOTH) < 80


def test_a_photograph_with_a_second_picture_beside_it_has_one_frame() -> None:
    content = encoded(SMOOTH, "MPO", save_all=True, append_images=[SMOOTH.rotate(90)])
    found = decode_picture(content, RULES)
    assert (found.kind, found.plain, found.notes) == ("JPEG", True, ())


@pytest.mark.parametrize(("mode", "wanted"), [("RGB", "RGB"), ("L", "L"), ("1", "L"), ("P", "RGB")])
def test_plain_modes_become_grey_or_rgb_and_keep_their_bytes(mode: str, wanted: str) -> None:
    image = SMOOTH.convert(mode)
    found = decoded(image)
    assert (found.image.mode, found.plain) == (wanted, True)
    assert largest_difference(found.image, image.convert(wanted)) == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_show_the_background(mode: str) -> None:
    image = SMOOTH.convert(mode)
    alpha = np.full((40, 50), 255, np.uint8)
    alpha[:10], alpha[10:20] = 0, 128
    image.putalpha(Image.fromarray(alpha))
    found = decoded(image, rules=PictureRules(background="#204060"))
    colour = np.array([0x20, 0x40, 0x60])
    front = np.asarray(image.convert("RGB")).astype(float)
    share = alpha[:, :, np.newaxis] / 255
    assert not found.plain
    assert np.abs(np.asarray(found.image) - (front * share + colour * (1 - share))).max() <= 1


def test_grey_on_a_grey_background_stays_grey() -> None:
    image = SMOOTH.convert("LA")
    image.putalpha(100)
    assert decoded(image).image.mode == "L"


def test_an_opaque_alpha_channel_and_a_transparent_colour_that_no_pixel_has_change_nothing() -> None:
    assert decoded(SMOOTH.convert("RGBA")).plain
    assert decoded(Image.new("RGB", (40, 40), (1, 2, 3)), transparency=(9, 9, 9)).plain


def test_a_palette_with_a_transparent_entry_shows_the_background() -> None:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (0, 0, 20, 40))
    found = decoded(image, rules=PictureRules(background="blue"), transparency=0)
    assert found.image.getpixel((30, 5)) == (0, 0, 255)
    assert found.image.getpixel((5, 5)) == (0, 255, 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_of_grey_are_scaled_to_8(kind: str) -> None:
    values = RNG.integers(0, 1 << 16, (40, 50), np.uint16)
    values[0, :2] = 0, 65535
    found = decoded(Image.fromarray(values), kind)
    assert not found.plain
    assert np.array_equal(np.asarray(found.image), np.round(values / 257))


def test_16_bits_of_colour_are_scaled_to_8() -> None:
    values = RNG.integers(0, 1 << 16, (4, 4, 3)).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(lines)) + png_chunk(b"IEND", b"")
    assert np.abs(np.asarray(decode_picture(content, RULES).image) - values / 257).max() <= 1


def test_32_bits_have_no_range_and_are_refused() -> None:
    reason, detail = refused(encoded(Image.fromarray(RNG.random((40, 40), np.float32)), "TIFF"))
    assert reason == "undecodable"
    assert "convert it to 8 bits first" in detail


def test_inks_become_the_colours_they_print() -> None:
    found = decoded(SMOOTH.convert("CMYK"), "JPEG", quality=100)
    assert not found.plain
    assert largest_difference(found.image, SMOOTH) < 12


def test_inks_with_a_profile_become_colours_by_it() -> None:
    # Pillow brings no profile of inks; one of colours does not fit inks and says nothing.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = decoded(SMOOTH.convert("CMYK"), "JPEG", quality=100, icc_profile=profile)
    assert largest_difference(found.image, SMOOTH) < 12


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_their_exif_data_say(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    found = decoded(SMOOTH, kind, exif=exif, **options)
    pixels = np.asarray(SMOOTH)
    wanted = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels),
    }[orientation]
    assert found.image.size == (wanted.shape[1], wanted.shape[0])
    assert np.abs(np.asarray(found.image).astype(int) - wanted).max() < (40 if kind == "JPEG" else 1)
    assert found.plain is (orientation == 1 and kind != "TIFF")


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01"]
)
def test_exif_data_that_cannot_be_read_say_nothing(exif: bytes) -> None:
    assert decoded(SMOOTH, "JPEG", exif=exif).image.size == SMOOTH.size


def test_a_jpeg_the_decoder_complained_of_is_noted_and_a_cut_one_can_be_seen_in_part() -> None:
    content = encoded(SMOOTH, "JPEG", quality=95)
    stray = content[:-2] + b"\0" * 20 + content[-2:]
    assert decode_picture(stray, RULES).notes in (("damaged",), ())
    scan = bytearray(content)
    middle = content.index(b"\xff\xda") + (len(content) - content.index(b"\xff\xda")) // 2
    scan[middle : middle + 2] = b"\xff\xd5"
    assert decode_picture(bytes(scan), RULES).notes == ("damaged",)
    part = partial_picture(content[: len(content) * 2 // 3], RULES)
    assert part is not None
    assert min(part.size) >= 40
    assert partial_picture(content, PictureRules(max_pixels=10)) is None


@pytest.mark.parametrize("options", [{"max_pixels": 0}, {"max_pixels": 1 << 40}, {"background": "no colour"}])
def test_rules_that_make_no_sense_are_wrong_arguments(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"max_pixels|color"):
        PictureRules(**options)  # type: ignore[arg-type]
