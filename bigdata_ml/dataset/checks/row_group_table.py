"""Checks what a row-group table says, so that readers may add and seek by it."""

import re
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bigdata_ml.dataset.layout import is_inside
from bigdata_ml.dataset.manifest import Manifest
from bigdata_ml.storage import is_hidden

__all__ = ["contract_problems", "table_problems"]

_CHECKSUM = re.compile("[0-9a-f]{32}")
_MOST = 1 << 62


def table_problems(table: pa.Table, columns: pa.Schema) -> Iterator[str]:
    """Yield what is wrong with a table by itself, whose first columns must be `columns`: types, ranges, doubles."""
    wrong = [field for field in columns if table.schema.field(field.name).type != field.type]
    if wrong:
        wrong_types = ((field, table.schema.field(field.name).type) for field in wrong)
        yield from (f"column {field.name!r} is {kind}, not {field.type}" for field, kind in wrong_types)
        return
    empty = [field.name for field in columns if not field.nullable and table[field.name].null_count]
    if empty:
        yield from (f"column {name!r} holds nulls" for name in empty)
        return
    numbers = {field.name: np.asarray(pc.fill_null(table[field.name], 0)) for field in columns if pa.types.is_integer(field.type)}
    negative = [name for name, values in numbers.items() if (values < 0).any()]
    yield from (f"column {name!r} holds {numbers[name].min()}, which is below 0" for name in negative)
    for name, values in numbers.items():
        if values.astype(np.float64).sum() > _MOST:
            yield f"column {name!r} adds up to more than 2^62"
    behind = np.flatnonzero(numbers["offset"] > numbers["file_bytes"] - numbers["length"])
    for row in behind[:1].tolist():
        yield f"{_row(table, row)}: its bytes do not lie in a file of {numbers['file_bytes'][row]} bytes"
    yield from _path_problems(table)
    group = np.asarray(table["path"].combine_chunks().dictionary_encode().indices).astype(np.int64) << 32 | numbers["row_group"]
    _, first, counts = np.unique(group, return_index=True, return_counts=True)
    for row in first[counts > 1][:1].tolist():
        yield f"{_row(table, row)} is listed twice"
    for name in ("checksum", "file_checksum"):
        text = next(
            (
                checksum
                for checksum in pc.unique(table[name]).to_pylist()
                if checksum is not None and not _CHECKSUM.fullmatch(checksum)
            ),
            None,
        )
        if text is not None:
            yield f"column {name!r} holds {text[:40]!r}, which is no checksum"


def _path_problems(table: pa.Table) -> Iterator[str]:
    for path in pc.unique(table["path"]).to_pylist():
        if not is_inside(path) or is_hidden(path):
            yield f"the path {path[:200]!r} leaves the dataset or is no data file's"
    files = table.select(["path", "file_bytes"]).group_by(["path", "file_bytes"]).aggregate([])
    if files.num_rows > len(pc.unique(table["path"])):
        yield "row groups of one file give it different sizes"


def _row(table: pa.Table, row: int) -> str:
    return f"{table['path'][row].as_py()[:200]!r} row group {table['row_group'][row]}"


def contract_problems(table: pa.Table, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield, as code and text of a finding, how a table differs from its manifest: counts, splits, types of extremes."""
    rows = int(np.asarray(table["rows"]).sum())
    if rows != manifest.rows:
        yield "row_count", f"the manifest says {manifest.rows} rows, its row groups {rows}"
    splits = pc.fill_null(table["split"], "")
    found = {name for name in table["split"].unique().to_pylist() if name is not None}
    for name in sorted(found ^ set(manifest.splits)):
        yield "inconsistent_manifest", f"split {name!r} is in {'its row groups' if name in found else 'the manifest'} only"
    for name in sorted(found & set(manifest.splits)):
        groups, summary = table.filter(pc.equal(splits, name)), manifest.splits[name]
        counts = (int(np.asarray(groups["rows"]).sum()), groups.num_rows, len(pc.unique(groups["path"])))
        for quantity, there, said in zip(
            ("rows", "row groups", "files"), counts, (summary.rows, summary.row_groups, summary.files), strict=True
        ):
            if there != said:
                code = "row_count" if quantity == "rows" else "inconsistent_manifest"
                yield code, f"the manifest says {said} {quantity} of split {name!r}, its row groups {there}"
    for text in _extreme_problems(table, manifest):
        yield "inconsistent_manifest", text


def _extreme_problems(table: pa.Table, manifest: Manifest) -> Iterator[str]:
    types = {field.name: field.type for field in manifest.schema}
    for column in table.schema:
        side, dot, name = column.name.partition(".")
        if not dot or side not in ("min", "max"):
            continue
        if column.type != types.get(name):
            yield f"column {column.name!r} is {column.type}, the field {types.get(name, 'missing')}"
        elif side == "max" and f"min.{name}" in table.column_names and table[f"min.{name}"].type == column.type:
            # Values of some types, such as null, have no order.
            with suppress(pa.ArrowNotImplementedError):
                if pc.any(pc.greater(table[f"min.{name}"], table[column.name])).as_py():
                    yield f"the least {name!r} of a row group is above its greatest"
