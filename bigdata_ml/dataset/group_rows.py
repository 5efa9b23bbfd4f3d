"""Converts a row group to the dataset's types, and finds text that is not UTF-8."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bigdata_ml.dataset.dataset import Dataset
from bigdata_ml.errors import DecodeFailed
from bigdata_ml.schema import Schema, from_stored, plain_type
from bigdata_ml.schema.converting import converted
from bigdata_ml.schema.stored import BadValue

__all__ = ["check_text", "group_rows", "holds_text", "rows_of_bad_text"]


def group_rows(
    table: pa.Table, dataset: Dataset, fields: Schema, record: Mapping[str, Any], on_bad_value: BadValue | None = None
) -> pa.Table:
    """Return a row group with the types of `fields`, and with directory keys as columns.

    Nullable columns that the file may lack are added as nulls. Columns whose types do not widen to the field's stay unchanged.
    `on_bad_value` is called for single values that do not fit; see `from_stored`.

    Raises:
        SchemaMismatch: as `from_stored`.
    """
    where = f"{(dataset.location / record['path']).url} row group {record['row_group']}"
    types = fields.to_arrow()
    keys = (dataset.partitions or {}).get(record["path"], {})
    for field in fields:
        if field.name in keys:
            column = pa.array([keys[field.name]] * table.num_rows, types.field(field.name).type)
        elif field.name not in table.column_names and field.nullable and _may_lack(dataset, field.name):
            column = pa.nulls(table.num_rows, field.type)
        else:
            continue
        table = table.append_column(field.name, column)
    return from_stored(table, fields, where, on_bad_value)


def _may_lack(dataset: Dataset, column: str) -> bool:
    """Return whether files may lack a nullable column: only files that no preparation job wrote."""
    return column in dataset.lacking if dataset.manifest is None else dataset.manifest.cleaning is None


def check_text(table: pa.Table, where: str) -> None:
    """Raise DecodeFailed, naming `where`, row and field, if a text of a row group is not UTF-8."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        before = 0
        for chunk in column.chunks:
            for row in rows_of_bad_text(chunk)[:1].tolist():
                text = f"{where} row {before + row} field {name!r}: the text is not UTF-8"
                raise DecodeFailed(f"{text}; write it as binary, or write it again")
            before += len(chunk)


def rows_of_bad_text(column: pa.Array) -> np.ndarray:
    """Return the rows with text, or lists of text, that is not UTF-8: Parquet does not verify it."""
    if not holds_text(column.type):
        return np.zeros(0, np.int64)
    kind = plain_type(column.type)
    column = converted(column, kind)
    if pa.types.is_dictionary(kind):
        bad = rows_of_bad_text(column.dictionary)
        codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
        return np.flatnonzero(np.isin(codes, bad)) if len(bad) else bad
    if pa.types.is_nested(kind):
        bad = rows_of_bad_text(column.flatten())
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        return np.unique(np.searchsorted(np.cumsum(lengths), bad, side="right"))
    try:
        column.cast(pa.binary() if kind == pa.string() else pa.large_binary()).cast(kind)
    except pa.ArrowInvalid:
        raw = column.cast(pa.large_binary())
        return np.array([row for row, value in enumerate(raw) if value.is_valid and not _is_text(value.as_py())], np.int64)
    return np.zeros(0, np.int64)


def holds_text(kind: pa.DataType) -> bool:
    """Return whether values are text, or hold text."""
    kind = plain_type(kind)
    if pa.types.is_dictionary(kind) or (pa.types.is_nested(kind) and not isinstance(kind, pa.BaseExtensionType)):
        return not (pa.types.is_struct(kind) or pa.types.is_map(kind)) and holds_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
