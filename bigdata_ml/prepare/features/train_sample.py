"""A sample of train rows of bounded size, for statistics on the driver; the rows are the same on every cluster."""

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
    """Return a sample of 20,000 to 200,000 rows, depending on the number of columns, or all rows if there are fewer.

    `__place`, and so only the row's values, decides whether a row is in the sample.

    Args:
        train: rows with `__place`.
        rows: their number.
        columns: the number of columns that will be read.
    """
    wanted = min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_CELLS // max(columns, 1)))
    if rows <= wanted:
        return train
    return train.where(share_of(F.col("__place"), wanted / rows))


def share_of(key: Column, share: float) -> Column:
    """Return a condition that about `share` (0 … 1) of the rows meet, depending only on `key`."""
    return F.pmod(F.xxhash64(F.lit("sample"), key), F.lit(_SCALE)) < round(share * _SCALE)


def sampled_columns(sample: DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, pa.Array]]:
    """Yield each column's name and values; all have the same order of rows while the sample is persisted."""
    for begin in range(0, len(columns), _COLUMNS_A_PASS):
        chunk = columns[begin : begin + _COLUMNS_A_PASS]
        table = sample.select(*(named(name).alias(str(place)) for place, name in enumerate(chunk))).toArrow()
        for place, name in enumerate(chunk):
            yield name, table.column(place).combine_chunks()
