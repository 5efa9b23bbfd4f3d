"""A sample of train rows for questions that need no more: the same rows on every cluster, of bounded size, on the driver."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bigdata_ml.prepare.session.columns import named

__all__ = ["sample_rows", "sampled_columns", "share_of"]

_MOST_ROWS, _FEWEST_ROWS, _MOST_CELLS = 200_000, 20_000, 40_000_000
_COLUMNS_A_PASS = 100
_SCALE = 1 << 40


def sample_rows(train: DataFrame, *, rows: int, columns: int) -> DataFrame:
    """Return about as many rows as a question over so many columns may hold: 20,000 to 200,000, or all there are.

    A row is in the sample or not by its `__place`, so by its values alone.

    Args:
        train: rows with `__place`.
        rows: how many there are.
        columns: how many will be asked for.
    """
    wanted = min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_CELLS // max(columns, 1)))
    if rows <= wanted:
        return train
    return train.where(share_of(F.col("__place"), wanted / rows))


def share_of(key: Column, share: float) -> Column:
    """Return the condition that about `share` (0 … 1) of the rows meet, each by the value of `key` alone."""
    return F.pmod(F.xxhash64(F.lit("sample"), key), F.lit(_SCALE)) < round(share * _SCALE)


def sampled_columns(sample: DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, pa.Array]]:
    """Yield each column's name and values; rows stand in the same order in all, as long as the sample is persisted."""
    for begin in range(0, len(columns), _COLUMNS_A_PASS):
        chunk = columns[begin : begin + _COLUMNS_A_PASS]
        found = sample.select(*(named(name).alias(str(place)) for place, name in enumerate(chunk))).toArrow()
        for place, name in enumerate(chunk):
            yield name, found.column(place).combine_chunks()
