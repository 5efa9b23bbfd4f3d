"""The content fingerprint: the same for the same rows, whatever their order, files and row groups.

A row's hash is 128 bits over its canonical values; a dataset's is the sum of its rows' modulo 2^128, together with the
digest of what else the contract says. It finds differences, it is no defence against someone who makes collisions on purpose.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from bigdata_ml.dataset.splitmix64 import INCREMENT, finalise

__all__ = ["combine", "content_fingerprint", "hash_rows", "sum_of_rows"]

MODULUS = 1 << 128
_U64 = np.uint64
_NULL = _U64(0x6E756C6C6E756C6C)
_NAN = _U64(0x7FF8000000000000)
_LANES = (_U64(0x243F6A8885A308D3), _U64(0x13198A2E03707344))


def hash_rows(batch: pa.RecordBatch | pa.Table, *, split: str | None) -> np.ndarray:
    """Return the rows' hashes, uint64 [rows, 2] (low and high lane).

    Canonical values: integers, booleans, dates, times and timestamps as 64-bit integers, floats as 64-bit IEEE with one
    NaN and one zero, decimals as text, text, bytes and tensors of bytes (pixels) as their bytes, lists and other tensors as
    length and values. A column enters by its name, so the columns' order does not matter; the split's name enters each row.
    """
    lanes = np.zeros((batch.num_rows, 2), _U64)
    with np.errstate(over="ignore"):
        for name in batch.schema.names:
            values = _canonical(_flat(batch.column(name)))
            for lane, start in enumerate(_LANES):
                lanes[:, lane] += _mix(values ^ (_U64(xxhash.xxh3_64_intdigest(name.encode())) + start))
        for lane, start in enumerate(_LANES):
            key = _U64(xxhash.xxh3_64_intdigest(f"split={split}".encode()))
            lanes[:, lane] = _mix(lanes[:, lane] + (key ^ start))
    return lanes


def sum_of_rows(lanes: np.ndarray) -> int:
    """Return the sum of rows' hashes modulo 2^128, of uint64 [rows, 2]."""
    low, high = (_exact_sum(lanes[:, lane]) for lane in (0, 1))
    return (low + (high << 64)) % MODULUS


def combine(sums: Sequence[int]) -> int:
    """Return the sum of parts' sums modulo 2^128."""
    return sum(sums) % MODULUS


def content_fingerprint(rows: int, row_sum: int, contract: Any) -> str:
    """Return the fingerprint: 32 hexadecimal digits of the number of rows, their sum, and the contract (anything JSON holds)."""
    text = json.dumps([rows, f"{row_sum:032x}", contract], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return xxhash.xxh3_128_hexdigest(text.encode())


def _exact_sum(values: np.ndarray) -> int:
    # Halves of 32 bits cannot overflow 64 bits below 2^32 rows.
    low = int((values & _U64(0xFFFFFFFF)).sum(dtype=_U64))
    high = int((values >> _U64(32)).sum(dtype=_U64))
    return low + (high << 32)


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column


def _mix(values: np.ndarray) -> np.ndarray:
    return finalise(values + _U64(INCREMENT))


def _canonical(column: pa.Array) -> np.ndarray:
    """Return one uint64 a row; nulls have a value of their own."""
    kind = column.type
    if isinstance(kind, pa.FixedShapeTensorType):
        pixels = kind.value_type == pa.uint8()
        values = _canonical_pixels(column.storage) if pixels else _canonical_lists(column.storage)
    elif pa.types.is_dictionary(kind):
        return _canonical(column.dictionary_decode())
    elif pa.types.is_nested(kind):
        values = _canonical_lists(column)
    elif pa.types.is_floating(kind):
        values = _canonical_floats(pc.cast(column, pa.float64()))
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        values = _as_words(pc.cast(column, pa.uint64() if kind == pa.uint64() else pa.int64()))
    elif pa.types.is_temporal(kind):
        values = _as_words(pc.cast(column, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(pa.int64()))
    elif pa.types.is_null(kind):
        return np.full(len(column), _NULL)
    else:
        values = _canonical_bytes(column)
    if column.null_count:
        values = np.where(pc.is_null(column).to_numpy(zero_copy_only=False), _NULL, values)
    return values


def _as_words(column: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False)).view(_U64)


def _canonical_floats(column: pa.Array) -> np.ndarray:
    values = np.asarray(pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False), np.float64) + 0.0
    return np.where(np.isnan(values), _NAN, values.view(_U64))


def _canonical_bytes(column: pa.Array) -> np.ndarray:
    if pa.types.is_decimal(column.type):
        column = pc.cast(column, pa.string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        # Text repeats: each distinct value is hashed once.
        encoded = pc.dictionary_encode(pc.fill_null(column, ""))
        distinct = np.array([xxhash.xxh3_64_intdigest(text.encode()) for text in encoded.dictionary.to_pylist()], _U64)
        return distinct[encoded.indices.to_numpy()] if len(column) else np.zeros(0, _U64)
    hashes = (xxhash.xxh3_64_intdigest(value.as_buffer() or b"") for value in column)
    return np.fromiter(hashes, _U64, len(column))


def _canonical_pixels(column: pa.FixedSizeListArray) -> np.ndarray:
    size = column.type.list_size
    inner = column.values.slice(column.offset * size, len(column) * size)
    rows = memoryview((pc.fill_null(inner, 0) if inner.null_count else inner).to_numpy())
    return np.array([xxhash.xxh3_64_intdigest(rows[place : place + size]) for place in range(0, len(rows), size)], _U64)


def _canonical_lists(column: pa.Array) -> np.ndarray:
    if pa.types.is_fixed_size_list(column.type):
        lengths = np.full(len(column), column.type.list_size, np.int64)
        inner = column.values.slice(column.offset * column.type.list_size, len(column) * column.type.list_size)
    else:
        lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False), np.int64)
        inner = column.flatten()
    values = _canonical(inner)
    ends = np.cumsum(lengths)
    place = np.arange(len(values), dtype=np.int64) - np.repeat(ends - lengths, lengths)
    with np.errstate(over="ignore"):
        mixed = _mix(values ^ _mix(place.view(_U64)))
        sums = np.zeros(len(mixed) + 1, _U64)
        np.cumsum(mixed, out=sums[1:])
        return _mix(sums[ends] - sums[ends - lengths] + _mix(lengths.view(_U64)))
