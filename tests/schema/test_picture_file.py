"""Image files before they are decoded: one check for job, reader and Petastorm's interface."""

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from forged_pictures import jpeg_claiming

from bigdata_ml.schema.picture_file import ImageRefused, check_jpeg, check_most_pixels, kind_of, opened_picture, refusing_broken


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
# A second frame header in bytes that are none of a segment's, markers without a length, and bytes that fill up.
@pytest.mark.parametrize("between", [b"", b"\x00\x01", b"\xff\xff", b"\xff\xd0", b"\xff\x01\xff\xd0", b"\xff\xd1\x00\x02"])
def test_a_jpegs_size_is_the_one_its_decoder_finds(between: bytes, options: dict[str, bool]) -> None:
    with pytest.raises(ImageRefused, match="65500 × 65500") as refused:
        check_jpeg(jpeg_claiming(65_500, 65_500, between, **options), 1_000_000)
    assert refused.value.reason == "too_many_pixels"
    check_jpeg(jpeg_claiming(1000, 1000, between, **options), 1_000_000)


@pytest.mark.parametrize(
    "error",
    [AssertionError(), RecursionError("deep"), OSError("I/O"), KeyError(3), struct.error("x"), zlib.error("y")],
)
def test_whatever_a_decoder_raises_is_that_files_refusal(error: Exception) -> None:
    with pytest.raises(ImageRefused) as refused, refusing_broken(b"BM\x03\x00\x00\x00", "BMP"):
        raise error
    assert refused.value.reason == "undecodable"
    assert refused.value.detail == (str(error) or type(error).__name__)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit])
def test_what_says_nothing_of_the_file_is_let_through(error: type[BaseException]) -> None:
    with pytest.raises(error), refusing_broken(b"", "PNG"):
        raise error


@pytest.mark.parametrize("make", [lambda: b"GIF89a" + bytes(20), lambda: b"II*\x00" + bytes(4)])
def test_a_refusals_text_is_the_same_twice(make: Callable[[], bytes]) -> None:
    content = make()
    details = []
    for _ in range(2):
        keep = io.BytesIO(content)
        with pytest.raises(ImageRefused) as refused, opened_picture(content, kind_of(content), 100):
            pass
        details.append((refused.value.detail, keep))
    assert details[0][0] == details[1][0]
    assert "0x" not in details[0][0]


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"%!PS-Adobe-3.0 EPSF-3.0", "wrong_type")])
def test_other_formats_are_not_given_to_a_decoder(content: bytes, reason: str) -> None:
    with pytest.raises(ImageRefused) as refused:
        kind_of(content)
    assert refused.value.reason == reason


@pytest.mark.parametrize("most", [0, 1 << 40])
def test_a_limit_that_pillow_cannot_keep_is_refused(most: int) -> None:
    with pytest.raises(ValueError, match="max_pixels"):
        check_most_pixels(most)
