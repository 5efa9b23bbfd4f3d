"""Derives the dataset's fields from the columns of a cleaned table and their nulls."""

from collections.abc import Collection, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_type

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.features.statistics import is_numeric
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema

__all__ = ["has_classes", "null_counts", "table_schema"]

# The JVM does not compile the method of one aggregate over thousands of columns. Persisted rows are stored by column, so the
# passes together read every column once.
_COLUMNS_A_PASS = 200


def table_schema(kept: DataFrame, columns: Sequence[str], *, label: str, categorical: Collection[str]) -> Schema:
    """Return the fields of the kept rows; columns without nulls are not nullable.

    Raises:
        JobRefused: no field supports a column's type, or a categorical column is not text, boolean or whole numbers.
    """
    nulls = null_counts(kept, columns)
    return Schema(tuple(_field(kept, name, nulls[name] > 0, name in categorical, name == label) for name in columns))


def null_counts(rows: DataFrame, columns: Sequence[str]) -> dict[str, int]:
    """Return the number of nulls of each column; persisted rows are read once in total."""
    counts: dict[str, int] = {}
    for begin in range(0, len(columns), _COLUMNS_A_PASS):
        chunk = columns[begin : begin + _COLUMNS_A_PASS]
        nulls = rows.agg(*(F.count_if(named(name).isNull()).alias(str(place)) for place, name in enumerate(chunk))).collect()[0]
        counts.update({name: nulls[place] for place, name in enumerate(chunk)})
    return counts


def has_classes(rows: DataFrame, name: str) -> bool:
    """Whether a label column has classes, as text, booleans and whole numbers do."""
    kind = to_arrow_type(rows.schema[name].dataType, timezone="UTC")
    return bool(pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind))


def _field(rows: DataFrame, name: str, nullable: bool, categorical: bool, label: bool) -> Field:
    kind = to_arrow_type(rows.schema[name].dataType, timezone="UTC")
    whole = pa.types.is_integer(kind)
    has_vocabulary = has_classes(rows, name) and (categorical or label or not whole)
    if categorical and not has_vocabulary:
        raise JobRefused(f"--categorical: column {name!r} is {kind}, but categories must be text, booleans or whole numbers")
    null = NullPolicy.REFUSE
    if nullable:
        # Whole numbers get a mask: with NaN they would become floating and change beyond 2^53.
        floating = is_numeric(kind) and not whole
        null = NullPolicy.UNKNOWN if has_vocabulary else NullPolicy.NAN if floating else NullPolicy.MASK
    try:
        return Field(name=name, type=kind, codec=Codec.of(kind), null=null, vocabulary=has_vocabulary)
    except ValueError as error:
        raise JobRefused(f"column {name!r} is not supported: {error}; remove it by --drop, or flatten it first") from error
