"""Pictures of a field's size are decoded straight into their batch; what is not of that size is handed out all the same."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from bigdata_ml.compat.petastorm import CompressedImageCodec, Unischema, UnischemaField
from bigdata_ml.compat.petastorm.values.columns import row_columns
from bigdata_ml.compat.petastorm.values.pictures import decode_picture
from bigdata_ml.errors import DecodeFailed

RNG = np.random.default_rng(3)


def encoded(form: str, *shape: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(stream, form)
    return stream.getvalue()


def decoded(form: str, files: list[bytes | None], kind: pa.DataType | None = None) -> Any:
    field = UnischemaField("image", np.uint8, (8, 6, 3), CompressedImageCodec(form), True)
    batch = pa.RecordBatch.from_arrays([pa.array([b"", *files, b""], kind or pa.binary())], names=["image"])
    # A part of a longer column, as Arrow hands them out.
    rows = batch.slice(1, len(files))
    return row_columns(rows, Unischema("Pictures", [field]), place=lambda row: f"row {row}")["image"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_pictures_of_the_size_of_the_field_are_one_array(form: str, kind: pa.DataType) -> None:
    files = [encoded(form, 8, 6, 3) for _ in range(5)]
    found = decoded(form, files, kind)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [decode_picture(file).tolist() for file in files]


@pytest.mark.parametrize("shape", [(7, 6, 3), (9, 6, 3), (6, 8, 3), (8, 6)])
@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_a_picture_of_another_size_is_handed_out_as_it_is(form: str, shape: tuple[int, ...]) -> None:
    files = [encoded(form, 8, 6, 3), encoded(form, *shape), encoded(form, 8, 6, 3)]
    found = decoded(form, files)
    assert [picture.shape for picture in found] == [(8, 6, 3), shape, (8, 6, 3)]
    assert [picture.tolist() for picture in found] == [decode_picture(file).tolist() for file in files]


def test_a_picture_that_is_not_there_is_none() -> None:
    files = [encoded("png", 8, 6, 3), None, encoded("png", 8, 6, 3)]
    assert [picture is None for picture in decoded("png", files)] == [False, True, False]


@pytest.mark.parametrize("form", ["jpeg", "png"])
@pytest.mark.parametrize("broken", [b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"text"])
def test_a_broken_picture_among_others_is_named(form: str, broken: bytes) -> None:
    with pytest.raises(DecodeFailed, match=r"row 1 field 'image'"):
        decoded(form, [encoded(form, 8, 6, 3), broken])


def jpeg(*shape: int, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(stream, "jpeg", **options)
    return stream.getvalue()


def test_jpegs_that_begin_otherwise_than_the_first_are_decoded_as_well() -> None:
    files = [jpeg(8, 6, 3), jpeg(8, 6, 3, quality=20), jpeg(8, 6, 3, progressive=True), jpeg(8, 6, 3, comment=b"another begin")]
    found = decoded("jpeg", files)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [decode_picture(file).tolist() for file in files]


def test_jpegs_of_one_channel_are_handed_out_as_they_are() -> None:
    files = [jpeg(8, 6), jpeg(8, 6)]
    assert [picture.shape for picture in decoded("jpeg", files)] == [(8, 6), (8, 6)]


def test_a_jpeg_that_begins_as_the_others_and_is_cut_short_is_named() -> None:
    files = [jpeg(8, 6, 3) for _ in range(3)]
    files[1] = files[1][: files[1].index(b"\xff\xda") + 6]
    with pytest.raises(DecodeFailed, match=r"row 1 field 'image'"):
        decoded("jpeg", files)
