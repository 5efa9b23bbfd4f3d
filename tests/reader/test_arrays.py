import io
import zipfile
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bigdata_ml.errors import DecodeFailed
from bigdata_ml.reader import decode_batch
from bigdata_ml.reader.decode.arrays import read_npy, read_npz
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema


def npy(values: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, values, **options)
    return out.getvalue()


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def decode(values: list[bytes | None], **field: Any) -> Any:
    one = Field(name="a", type=pa.binary(), **{"codec": Codec.NDARRAY, "dtype": "int16", "shape": (2,), **field})
    return decode_batch(pa.record_batch({"a": pa.array(values, pa.binary())}), Schema((one,)), {})


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">f4"),
        np.array(7, np.uint64),
        np.zeros((0, 3), np.float32),
        np.array(["a", "bcé"]),
        np.array([b"a", b"bc"]),
        np.zeros(2, "S0"),
        np.array(["2020-01-01"], "M8[D]"),
        np.array([1j], np.complex64),
    ],
)
def test_an_npy_file_gives_what_numpy_reads(values: np.ndarray) -> None:
    data = npy(values)
    found, wanted = read_npy(data), np.load(io.BytesIO(data), allow_pickle=False)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no npy file"),
        (b"\x93NUMPY\x01\x00", "no npy file"),
        (b"\x93NUMPY\x01\x00\xff\xff{}xx", "cut short or too long"),
        (b"\x93NUMPY\x09\x00\x02\x00{}", "version 9.0"),
        (b"\x93NUMPY\x01\x00\x06\x00rubish", "header cannot be read"),
        (npy(np.array([{}], object), allow_pickle=True), "which is not read"),
        (npy(np.zeros(1, [("a", "i4")])), "which is not read"),
        (npy(np.arange(3))[:-1], "promises"),
        (npy(np.arange(3)) + b"x", "promises"),
        (npy(np.arange(3)).replace(b"(3,), }", b"(1<<9,)"), "header cannot be read"),
        (npy(np.arange(3)).replace(b"(3,), }           ", b"(999999999999,), }"), "promises"),
    ],
)
def test_a_file_that_is_no_array_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        read_npy(data)


def test_an_npz_file_is_refused_if_it_unpacks_to_more_than_the_schema_says() -> None:
    bomb = npz(arr=np.zeros(10_000_000))
    assert len(bomb) < 200_000
    with pytest.raises(ValueError, match="unpacks to 80000128 bytes, 32 are the schema's"):
        read_npz(bomb, limit=32)


def test_an_npz_file_of_any_shape_unpacks_to_a_gigabyte_at_most() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr.npy", b"x")
    # The directory's size of the member, before compression.
    data = bytearray(written.getvalue())
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = (1 << 31).to_bytes(4, "little")
    with pytest.raises(ValueError, match="unpacks to 2147483648 bytes, 1073741824 are the most"):
        read_npz(bytes(data), limit=None)


def test_an_npz_file_without_its_array_is_refused() -> None:
    with pytest.raises(ValueError, match=r"holds 'arr\.npy'"):
        read_npz(npz(other=np.zeros(3)), limit=None)
    with pytest.raises(ValueError, match=r"holds 'arr\.npy'"):
        read_npz(b"PK rubbish", limit=None)
    whole = npz(arr=np.arange(100))
    with pytest.raises(ValueError, match="npz file"):
        read_npz(whole[:60] + bytes(20) + whole[80:], limit=None)
    assert zipfile.is_zipfile(io.BytesIO(whole))


def test_arrays_of_one_shape_are_one_array() -> None:
    found = decode([npy(np.array([1, 2], ">i2")), npy(np.array([3, 4], np.int16))])["a"]
    assert (found.dtype.str, found.tolist(), found.flags.c_contiguous) == ("<i2", [[1, 2], [3, 4]], True)


def test_nulls_are_zeros_beside_a_mask() -> None:
    found = decode([None, npy(np.array([3, 4], np.int16))], null=NullPolicy.MASK)
    assert found["a"].tolist() == [[0, 0], [3, 4]]
    assert found["a_valid"].tolist() == [False, True]


def test_arrays_of_varying_length_and_of_text_are_lists() -> None:
    ragged = decode([npy(np.zeros(2, np.int16)), npy(np.zeros(2, np.int16))], shape=(None,))["a"]
    assert [one.shape for one in ragged] == [(2,), (2,)]
    assert isinstance(ragged, list)
    text = decode([npy(np.array(["a", "b"]))], dtype="str")["a"]
    assert isinstance(text, list)
    assert text[0].tolist() == ["a", "b"]


def test_dates_in_arrays_are_whole_numbers() -> None:
    found = decode([npy(np.array(["1970-01-02", "1970-01-03"], "M8[D]"))], dtype="datetime64")["a"]
    assert (found.dtype, found.tolist()) == (np.int64, [[1, 2]])


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.zeros(3, np.int16), r"its shape is \(3,\), the schema says \(2,\)"),
        (np.zeros(2, np.int32), "it holds int32, the schema says int16"),
        (np.array(["a", "b"]), "it holds <U1, the schema says int16"),
    ],
)
def test_an_array_that_is_not_the_schemas_names_row_and_field(values: np.ndarray, match: str) -> None:
    with pytest.raises(DecodeFailed, match=rf"row 1 field 'a': the array cannot be read: {match}"):
        decode([npy(np.zeros(2, np.int16)), npy(values)])


def test_a_bad_array_that_is_skipped_is_zeros() -> None:
    told: list[int] = []
    one = Field(name="a", type=pa.binary(), codec=Codec.NDARRAY, dtype="int16", shape=(2,))
    batch = pa.record_batch({"a": pa.array([b"rubbish", npy(np.array([3, 4], np.int16))], pa.binary())})
    found = decode_batch(batch, Schema((one,)), {}, on_bad_row=lambda row, error: told.append(row))
    assert (told, found["a"].tolist()) == ([0], [[0, 0], [3, 4]])


def test_lists_with_a_shape_are_arrays_of_it() -> None:
    one = Field(name="a", type=pa.list_(pa.int64()), codec=Codec.LIST, shape=(2, 2), dtype="uint8", null=NullPolicy.MASK)
    batch = pa.record_batch({"a": pa.array([[1, 2, 3, 4], None])})
    found = decode_batch(batch, Schema((one,)), {})["a"]
    assert (found.dtype, found.tolist()) == (np.uint8, [[[1, 2], [3, 4]], [[0, 0], [0, 0]]])
    short = pa.record_batch({"a": pa.array([[1, 2, 3]])})
    with pytest.raises(DecodeFailed, match=r"field 'a': 3 values, the schema's shape \(2, 2\) has 4"):
        decode_batch(short, Schema((one,)), {})


def test_text_that_is_no_number_names_the_field() -> None:
    one = Field(name="a", type=pa.string(), dtype="float64")
    assert decode_batch(pa.record_batch({"a": ["1.5", "2"]}), Schema((one,)), {})["a"].tolist() == [1.5, 2.0]
    with pytest.raises(DecodeFailed, match="row 1 field 'a': text that is no number"):
        decode_batch(pa.record_batch({"a": ["1.5", "x"]}), Schema((one,)), {})


@pytest.mark.parametrize(
    ("one", "values", "wanted"),
    [
        (Field(name="a", type=pa.string(), dtype="float64"), ["1.5", "x", "2"], [1.5, 0, 2]),
        (Field(name="a", type=pa.string(), dtype="int8"), ["1", "1000", "2"], [1, 0, 2]),
        (
            Field(name="a", type=pa.list_(pa.string()), codec=Codec.LIST, dtype="int16"),
            [["1"], ["2", "x"], ["3"]],
            [[1], [2, 0], [3]],
        ),
    ],
    ids=["no number", "too large", "in a list"],
)
def test_text_that_is_no_number_is_its_rows_error_alone(one: Field, values: list[Any], wanted: list[Any]) -> None:
    bad: list[int] = []
    found = decode_batch(
        pa.record_batch({"a": pa.array(values, one.type)}), Schema((one,)), {}, on_bad_row=lambda row, _: bad.append(row)
    )
    assert ([np.asarray(value).tolist() for value in found["a"]], bad) == (wanted, [1])


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "data",
    [
        _header("{'descr': '<i2', 'fortran_order': False, 'shape': (0, 2**70)}"),
        _header(f"{{'descr': '<i2', 'fortran_order': False, 'shape': (0, {2**70})}}"),
        _header(f"{{'descr': '|S0', 'fortran_order': False, 'shape': ({2**70},)}}"),
        _header("{'descr': [()], 'fortran_order': False, 'shape': ()}"),
        _header("{'descr': {}, 'fortran_order': False, 'shape': ()}"),
        _header("(" * 3000),
    ],
    ids=range(6),
)
def test_a_header_that_numpy_fails_on_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever numpy says
        read_npy(data)
