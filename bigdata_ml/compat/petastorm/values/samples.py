"""Sequences of rows to NGram samples: a named tuple of fields for each offset."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from bigdata_ml.compat.petastorm.ngram import NGram
from bigdata_ml.compat.petastorm.transform import TransformSpec
from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.compat.petastorm.values.columns import row_columns, rows_of
from bigdata_ml.reader import Sequence

__all__ = ["samples_of", "sequence_of"]

Place = Callable[[int], str]


def sequence_of(ngram: NGram) -> Sequence:
    """Return a resolved `NGram` as the reader's `Sequence`."""
    return Sequence(
        length=ngram.length,
        order=ngram.timestamp_name,
        max_gap=ngram.delta_threshold,
        overlap=ngram.timestamp_overlap,
        restarts=True,
    )


def samples_of(
    batch: pa.RecordBatch, ngram: NGram, stored: Unischema, schema: Unischema, transform: TransformSpec | None, *, place: Place
) -> list[dict[int, Any]]:
    """Return the samples of a batch.

    Args:
        batch: columns of `ngram.length` values per sample.
        ngram: resolved.
        stored: the fields of the batch.
        schema: the fields after the transform.
        transform: of single rows, or None.
        place: location of a sample's first row, for messages.
    """
    length, offsets = ngram.length, range(ngram.first, ngram.first + ngram.length)
    classes = [ngram.get_schema_at_timestep(schema, offset).row_class for offset in offsets]
    if transform is not None:
        rows = rows_of(_values(batch, stored, np.arange(batch.num_rows * length), length, place), batch.num_rows * length)
        rows = rows if transform.func is None else [transform.func(row) for row in rows]
        each = [rows[step::length] for step in range(length)]
    else:
        each = []
        for step, offset in enumerate(offsets):
            names = ngram.get_field_names_at_timestep(offset)
            view = Unischema("view", [stored.fields[name] for name in names])
            places = np.arange(batch.num_rows) * length + step
            each.append(rows_of(_values(batch, view, places, length, place), batch.num_rows))
    return [
        {
            offset: row_class(**{name: row[name] for name in row_class._fields})
            for offset, row_class, row in zip(offsets, classes, sample, strict=True)
        }
        for sample in zip(*each, strict=True)
    ]


def _values(batch: pa.RecordBatch, view: Unischema, places: np.ndarray, length: int, place: Place) -> dict[str, Any]:
    """Return decoded fields of some rows, numbered over all samples."""
    columns = [batch.column(name).flatten().take(pa.array(places)) for name in view.fields]
    rows = pa.RecordBatch.from_arrays(columns, names=list(view.fields))
    return row_columns(rows, view, place=lambda row: f"{place(int(places[row]) // length)} and {places[row] % length} rows on,")
