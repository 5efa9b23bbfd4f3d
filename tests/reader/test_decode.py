"""Arrow columns to numpy: every codec, every null policy, and values that cannot be decoded."""

import io
import warnings
from contextlib import suppress
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from bigdata_ml.dataset import Dataset, Vocabulary
from bigdata_ml.errors import DecodeFailed, SchemaMismatch
from bigdata_ml.reader import ReadOptions, decode_batch, open_reader
from bigdata_ml.reader.decode.value_places import ValuePlaces
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema
from bigdata_ml.schema.codec import tensor_column

REFUSE, NAN, MASK, FILL, UNKNOWN = NullPolicy
GRADIENT = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)[:, :, None].repeat(3, 2) * np.uint8([1, 2, 3])


def decode(values: Any, field: dict[str, Any], *, vocabulary: Vocabulary | None = None, **options: Any) -> dict[str, Any]:
    one = Field(**{"name": "x", "vocabulary": vocabulary is not None, **field})
    column = values if isinstance(values, pa.Array) else pa.array(values, one.type)
    batch = pa.record_batch([column], schema=Schema((one,)).to_arrow())
    return decode_batch(batch, Schema((one,)), {"x": vocabulary} if vocabulary else {}, **options)


def image(array: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(sink, form, **options)
    return sink.getvalue()


def images(*data: bytes | None, channels: int = 3, null: NullPolicy = REFUSE, **options: Any) -> dict[str, Any]:
    return decode(list(data), {"type": pa.binary(), "codec": Codec.IMAGE, "channels": channels, "null": null}, **options)


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        (pa.int8(), [-1, 2], np.int8([-1, 2])),
        (pa.uint16(), [1, 65535], np.uint16([1, 65535])),
        (pa.float32(), [0.5, 1], np.float32([0.5, 1])),
        (pa.float16(), np.float16([0.5, 1]), np.float16([0.5, 1])),
        (pa.bool_(), [True, False], np.array([True, False])),
        (pa.decimal128(5, 2), [Decimal("1.25"), Decimal("-7")], np.float64([1.25, -7])),
        (pa.date32(), [date(1970, 1, 2), date(1969, 12, 31)], np.int64([1, -1])),
        (pa.time32("ms"), [5, 6], np.int64([5, 6])),
        (pa.duration("s"), [5, -6], np.int64([5, -6])),
        (pa.timestamp("us", tz="UTC"), [datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc), 7], np.int64([1_000_000, 7])),
    ],
    ids=str,
)
def test_scalars_become_numpy_columns(kind: pa.DataType, values: Any, wanted: np.ndarray) -> None:
    found = decode(values, {"type": kind})["x"]
    assert found.dtype == wanted.dtype
    assert np.array_equal(found, wanted)


def test_text_and_bytes_stay_lists() -> None:
    assert decode(["a", "ä"], {"type": pa.string()}) == {"x": ["a", "ä"]}
    assert decode([b"a", b""], {"type": pa.binary()}) == {"x": [b"a", b""]}


@pytest.mark.parametrize(
    ("kind", "null", "extra", "wanted"),
    [
        (pa.int32(), NAN, {}, np.float64([1, np.nan])),
        (pa.float32(), NAN, {}, np.float32([1, np.nan])),
        (pa.decimal128(5, 2), NAN, {}, np.float64([1, np.nan])),
        (pa.int32(), MASK, {}, np.int32([1, 0])),
        (pa.bool_(), MASK, {}, np.array([True, False])),
        (pa.timestamp("us"), MASK, {}, np.int64([1, 0])),
        (pa.int32(), FILL, {"fill": -1}, np.int32([1, -1])),
        (pa.float64(), FILL, {"fill": 0.5}, np.float64([1, 0.5])),
        (pa.bool_(), FILL, {"fill": True}, np.array([True, True])),
        (pa.date32(), FILL, {"fill": 9}, np.int64([1, 9])),
    ],
    ids=str,
)
def test_nulls_become_what_the_policy_says(
    kind: pa.DataType, null: NullPolicy, extra: dict[str, Any], wanted: np.ndarray
) -> None:
    column = pa.array([True if kind == pa.bool_() else 1, None], kind)
    found = decode(column, {"type": kind, "null": null, **extra})
    assert found["x"].dtype == wanted.dtype
    assert np.array_equal(found["x"], wanted, equal_nan=wanted.dtype.kind == "f")
    assert found.get("x_valid", np.array([True, False])).tolist() == [True, False]
    assert ("x_valid" in found) == (null is MASK)


def test_the_type_of_a_column_does_not_depend_on_whether_a_batch_has_nulls() -> None:
    for null in (NAN, MASK):
        with_nulls, without = (decode(values, {"type": pa.int64(), "null": null}) for values in ([1, None], [1, 2]))
        assert {name: one.dtype for name, one in with_nulls.items()} == {name: one.dtype for name, one in without.items()}


def test_a_text_that_is_null_is_none_or_the_fill() -> None:
    assert decode(["a", None], {"type": pa.string(), "null": MASK})["x"] == ["a", None]
    assert decode(["a", None], {"type": pa.string(), "null": FILL, "fill": "?"})["x"] == ["a", "?"]


def test_a_null_that_is_not_allowed_is_named_with_its_place() -> None:
    field = Field(name="x", type=pa.int64())
    batch = pa.record_batch({"x": pa.array([1, None])})
    with pytest.raises(SchemaMismatch, match=r"f\.parquet row group 2 row 8 field 'x': is null"):
        decode_batch(batch, Schema((field,)), {}, place=lambda row: f"f.parquet row group 2 row {row + 7}")


@pytest.mark.parametrize(
    ("kind", "values", "column"),
    [
        (pa.string(), ("a", "b"), ["b", "a"]),
        (pa.large_string(), ("a", "b"), ["b", "a"]),
        (pa.int16(), (5, 7), [7, 5]),
        (pa.bool_(), (False, True), [True, False]),
        (pa.dictionary(pa.int32(), pa.string()), ("a", "b"), ["b", "a"]),
    ],
    ids=str,
)
def test_values_of_a_closed_vocabulary_become_ids_from_0(kind: pa.DataType, values: tuple[Any, ...], column: list[Any]) -> None:
    found = decode(column, {"type": kind}, vocabulary=Vocabulary(values=values, counts=(1, 1), unknown=False))["x"]
    assert (found.tolist(), found.dtype) == ([1, 0], np.int64)


@pytest.mark.parametrize("more", [0, 1000])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_null_rare_and_unseen_values_of_an_open_vocabulary_become_id_0(kind: pa.DataType, more: int) -> None:
    values = ("a", "b", *(f"more {number}" for number in range(more)))
    vocabulary = Vocabulary(values=values, counts=(1,) * len(values), unknown=True)
    found = decode(["b", None, "never", "a", values[-1]], {"type": kind, "null": UNKNOWN}, vocabulary=vocabulary)["x"]
    assert (found.tolist(), found.dtype) == ([2, 0, 0, 1, len(values)], np.int64)


def test_whole_numbers_of_a_large_vocabulary_become_their_ids() -> None:
    vocabulary = Vocabulary(values=tuple(range(-500, 500)), counts=(1,) * 1000, unknown=True)
    column = pa.array([9, -500, None, 499, 500, -7], pa.int32())[1:]
    found = decode(column, {"type": pa.int32(), "null": UNKNOWN}, vocabulary=vocabulary)["x"]
    assert found.tolist() == [1, 0, 1000, 0, 494]
    assert decode(column[:0], {"type": pa.int32(), "null": UNKNOWN}, vocabulary=vocabulary)["x"].tolist() == []


def test_a_vocabulary_is_made_ready_once_for_all_batches_of_a_dataset(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, ...]] = []

    class Counted(ValuePlaces):
        def __init__(self, values: Any, kind: pa.DataType) -> None:
            made.append(values)
            super().__init__(values, kind)

    monkeypatch.setattr("bigdata_ml.reader.decode.columns.ValuePlaces", Counted)
    for split in ("train", "test", "train"):
        for batch in open_reader(tiny.split(split), ReadOptions(), global_batch_size=4):
            decode_batch(batch, tiny.schema, tiny.vocabularies)
    assert sorted(made) == sorted(one.values for one in tiny.vocabularies.values())


@pytest.mark.parametrize("values", [("a",), tuple("abcdefgh")], ids=len)
def test_a_value_outside_a_closed_vocabulary_is_named_with_its_place(values: tuple[str, ...]) -> None:
    vocabulary = Vocabulary(values=values, counts=(1,) * len(values), unknown=False)
    with pytest.raises(SchemaMismatch, match="here 1 field 'x': 'z' is not in the vocabulary"):
        decode(["a", "z"], {"type": pa.string()}, vocabulary=vocabulary, place=lambda row: f"here {row}")


def test_lists_become_one_array_a_row() -> None:
    found = decode([[1, 2], [], None], {"type": pa.list_(pa.int64()), "codec": Codec.LIST, "null": MASK})
    assert [one.tolist() for one in found["x"]] == [[1, 2], [], []]
    assert found["x_valid"].tolist() == [True, True, False]


def test_tensors_become_one_array_and_their_nulls_zeros() -> None:
    values = np.arange(12, dtype=np.int16).reshape(2, 3, 2)
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    field = {"type": column.type, "codec": Codec.TENSOR, "null": MASK}
    assert np.array_equal(decode(column, field)["x"], values)
    found = decode(column.take(pa.array([1, None, 0])), field)
    assert np.array_equal(found["x"], np.stack([values[1], 0 * values[0], values[0]]))
    assert found["x_valid"].tolist() == [True, False, True]
    assert not decode(column.take(pa.array([None, None], pa.int64())), field)["x"].any()


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_images_decode_to_their_pixels(form: str, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    found = images(image(pixels, form, **({"lossless": True} if form == "WEBP" else {})), channels=channels)["x"]
    assert found.shape == (1, 5, 7, channels)
    assert np.array_equal(found[0], pixels)


def test_jpeg_decodes_to_nearly_its_pixels() -> None:
    found = images(image(GRADIENT, "JPEG", quality=95))["x"]
    assert found.shape == (1, 32, 48, 3)
    assert np.abs(found[0].astype(int) - GRADIENT).mean() < 3


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(8, 8), (16, 24), (32, 48), (40, 20)])
def test_images_are_resized_to_the_size_asked_for(form: str, size: tuple[int, int]) -> None:
    found = images(image(GRADIENT, form), image_size=size)["x"]
    wanted = np.asarray(Image.fromarray(GRADIENT).resize(size[::-1], Image.Resampling.BILINEAR)).astype(int)
    assert found.shape == (1, *size, 3)
    assert np.abs(found[0] - wanted).mean() < 8


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_colours_become_grey_and_grey_becomes_colours(form: str) -> None:
    assert images(image(GRADIENT, form), channels=1)["x"].shape == (1, 32, 48, 1)
    assert images(image(GRADIENT[:, :, :1], form), channels=3)["x"].shape == (1, 32, 48, 3)


def test_images_of_differing_sizes_stay_a_list() -> None:
    found = images(image(GRADIENT), image(GRADIENT[:8]))["x"]
    assert [one.shape for one in found] == [(32, 48, 3), (8, 48, 3)]


def test_an_image_that_is_null_is_blank_and_masked() -> None:
    found = images(image(GRADIENT), None, null=MASK, image_size=(4, 4))
    assert (found["x"].shape, found["x"][1].any(), found["x_valid"].tolist()) == ((2, 4, 4, 3), False, [True, False])


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"no image", image(GRADIENT)[:60], image(GRADIENT, "JPEG")[:-40]])
def test_a_corrupt_image_is_named_with_its_place(data: bytes) -> None:
    with pytest.raises(DecodeFailed, match="here 1 field 'x': the image cannot be decoded"):
        images(image(GRADIENT), data, place=lambda row: f"here {row}")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_whatever_happens_to_an_images_bytes_is_an_image_or_a_named_failure(form: str) -> None:
    random, whole = np.random.default_rng(0), image(GRADIENT, form)
    for _ in range(150):
        data = bytearray(whole[: random.integers(1, len(whole) + 1)])
        data[random.integers(len(data))] = random.integers(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with suppress(DecodeFailed):
                assert images(bytes(data))["x"][0].shape[2] == 3


def test_a_jpeg_with_stray_bytes_decodes_as_the_preparation_job_let_it_pass() -> None:
    whole = image(GRADIENT, "JPEG")
    stray = whole[:-2] + b"\x00\x00\x00" + whole[-2:]
    assert images(stray)["x"].shape == (1, 32, 48, 3)


def test_raw_images_are_resized_too() -> None:
    raw = Field(name="x", type=pa.fixed_shape_tensor(pa.uint8(), (2, 2, 1)), codec=Codec.RAW_IMAGE)
    pixels = tensor_column(np.full((3, 2, 2, 1), 7, np.uint8))
    found = decode_batch(pa.record_batch({"x": pixels}), Schema((raw,)), {}, image_size=(4, 6))["x"]
    assert found.shape == (3, 4, 6, 1)
    assert (found == 7).all()
