"""Codecs: what ours encode Petastorm's decode, and the other way round."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from comparing import assert_same
from pyspark.sql import types as spark_types

from bigdata_ml.compat.petastorm import codecs as ours
from bigdata_ml.compat.petastorm.unischema import UnischemaField

RANDOM = np.random.default_rng(3)
DOWN, ACROSS = np.mgrid[0:32, 0:24]
SMOOTH = np.stack([ACROSS * 10, DOWN * 7, (DOWN + ACROSS) * 4], 2).astype(np.uint8)

EXACT = [
    ("NdarrayCodec", (), RANDOM.random((2, 3), np.float32)),
    ("NdarrayCodec", (), np.array(["a", "bcd", ""])),
    ("NdarrayCodec", (), np.asfortranarray(RANDOM.integers(0, 9, (3, 2)))),
    ("CompressedNdarrayCodec", (), RANDOM.integers(0, 9, (4, 5, 2)).astype(np.uint16)),
    ("CompressedNdarrayCodec", (), np.zeros((0, 3), np.complex128)),
    ("CompressedImageCodec", ("png",), RANDOM.integers(0, 256, (9, 7, 3)).astype(np.uint8)),
    ("CompressedImageCodec", ("png",), RANDOM.integers(0, 256, (9, 7)).astype(np.uint8)),
    ("CompressedImageCodec", ("png",), RANDOM.integers(0, 65536, (9, 7)).astype(np.uint16)),
    ("CompressedImageCodec", ("png",), RANDOM.integers(0, 65536, (9, 7, 3)).astype(np.uint16)),
]
SCALARS = [
    (spark_types.ByteType(), np.int8(-3)),
    (spark_types.ShortType(), np.uint8(200)),
    (spark_types.IntegerType(), np.uint16(40000)),
    (spark_types.LongType(), np.int64(-(2**40))),
    (spark_types.FloatType(), np.float32(0.1)),
    (spark_types.DoubleType(), np.float64(0.1)),
    (spark_types.BooleanType(), np.bool_(True)),
    (spark_types.StringType(), np.str_("ü")),
    (spark_types.DecimalType(10, 2), Decimal("1.25")),
    (spark_types.DateType(), np.datetime64("2020-02-29")),
]


def both(petastorm: Any, name: str, arguments: tuple[Any, ...]) -> list[Any]:
    """Return our codec and Petastorm's."""
    from petastorm import codecs as theirs

    return [getattr(module, name)(*arguments) for module in (ours, theirs)]


def field_of(value: Any) -> UnischemaField:
    return UnischemaField("it", type(value) if not isinstance(value, np.ndarray) else value.dtype.type, np.shape(value))


@pytest.mark.parametrize(("name", "arguments", "value"), EXACT, ids=lambda part: part if isinstance(part, str) else "")
def test_arrays_and_png_go_both_ways_without_loss(
    petastorm: Any, name: str, arguments: tuple[Any, ...], value: np.ndarray
) -> None:
    field = field_of(value)
    for encoding in both(petastorm, name, arguments):
        encoded = encoding.encode(field, value)
        assert isinstance(encoded, bytearray)
        for decoding in both(petastorm, name, arguments):
            assert_same(decoding.decode(field, bytes(encoded)), value, f"{type(encoding).__module__} {type(decoding).__module__}")


@pytest.mark.parametrize("quality", [30, 80, 95])
@pytest.mark.parametrize("value", [SMOOTH, SMOOTH[:, :, 0].copy()], ids=["colours", "grey"])
def test_jpeg_loses_no_more_than_petastorms_does(petastorm: Any, value: np.ndarray, quality: int) -> None:
    field, codecs = field_of(value), both(petastorm, "CompressedImageCodec", ("jpeg", quality))
    lost = {}
    for encoder, encoding in zip(("ours", "theirs"), codecs, strict=True):
        encoded = bytes(encoding.encode(field, value))
        for decoder, decoding in zip(("ours", "theirs"), codecs, strict=True):
            found = decoding.decode(field, encoded)
            assert (found.dtype, found.shape) == (value.dtype, value.shape)
            lost[encoder, decoder] = float(np.abs(found.astype(int) - value).mean())
    reference = lost["theirs", "theirs"]
    assert max(lost.values()) <= 1.1 * reference + 0.1
    assert min(lost.values()) >= 0.9 * reference - 0.1


@pytest.mark.parametrize(("spark_type", "value"), SCALARS, ids=lambda part: type(part).__name__)
def test_scalars_go_both_ways(petastorm: Any, spark_type: Any, value: Any) -> None:
    field, (mine, theirs) = field_of(value), both(petastorm, "ScalarCodec", (spark_type,))
    encoded = mine.encode(field, value)
    assert_same(encoded, theirs.encode(field, value), "encoded")
    assert_same(mine.decode(field, encoded), theirs.decode(field, encoded), "decoded")
    assert_same(mine.decode(field, encoded), value, "value")


WRONG = [
    ("NdarrayCodec", (), UnischemaField("it", np.float32, (2,)), np.zeros(2, np.float64)),
    ("CompressedNdarrayCodec", (), UnischemaField("it", np.float32, (2, None)), np.zeros((3, 1), np.float32)),
    ("CompressedNdarrayCodec", (), UnischemaField("it", np.float32, (2,)), [1.0, 2.0]),
    ("CompressedImageCodec", ("png",), UnischemaField("it", np.uint8, (2, 2, 4)), np.zeros((2, 2, 4), np.uint8)),
    ("CompressedImageCodec", ("jpeg",), UnischemaField("it", np.uint8, (2, 2)), np.zeros((2, 2), np.uint16)),
    ("ScalarCodec", (spark_types.StringType(),), UnischemaField("it", np.str_, ()), 3),
    ("ScalarCodec", (spark_types.LongType(),), UnischemaField("it", np.int64, (2,)), np.int64(3)),
]


@pytest.mark.parametrize(("name", "arguments", "field", "value"), WRONG, ids=lambda part: part if isinstance(part, str) else "")
def test_values_that_do_not_fit_are_refused_by_both(
    petastorm: Any, name: str, arguments: tuple[Any, ...], field: UnischemaField, value: Any
) -> None:
    for codec in both(petastorm, name, arguments):
        with pytest.raises(ValueError, match=r"it|shape|dimensions"):
            codec.encode(field, value)
