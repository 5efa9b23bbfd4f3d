"""Learns about a cleaned table's columns: fields, label leaks, feature selection and quantiles."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bigdata_ml.prepare.features.leakage import LEAK, Leak, label_leaks
from bigdata_ml.prepare.features.quantiles import quantiles
from bigdata_ml.prepare.features.selection.select import select_features
from bigdata_ml.prepare.features.selection.verdicts import FeatureSelection, FeatureTable
from bigdata_ml.prepare.features.statistics import is_numeric
from bigdata_ml.prepare.features.train_sample import sample_rows
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.tables.schema import table_schema
from bigdata_ml.schema import Codec, Schema

__all__ = ["LearnedColumns", "column_quantiles", "learn_columns", "numbers_of"]

_SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class LearnedColumns:
    """What was learned about the columns.

    Attributes:
        schema: of the remaining columns.
        leaks: columns that alone predict the label.
        features: the verdict on each column, if features were selected.
    """

    schema: Schema
    leaks: Sequence[Leak]
    features: FeatureTable | None

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that the selection drops."""
        return self.features.dropped if self.features else ()

    @property
    def words(self) -> dict[str, str]:
        """Descriptions of the checks by name, for the manifest."""
        words = {}
        if self.leaks:
            words["columns that tell the label"] = (
                f"they avoid {LEAK:.0%} or more of the errors of a guess, on held-out train rows"
            )
        if self.features:
            counts = ", ".join(f"{count} {reason}" for reason, count in self.features.reasons().items())
            words["select features"] = f"{len(self.features.kept)} of {len(self.features.verdicts)} columns kept: {counts}"
        return words


def learn_columns(kept: DataFrame, label: str, *, categorical: Collection[str], select: str, seed: int) -> LearnedColumns:
    """Learn about the columns of kept rows; all but the nulls comes from train rows only.

    Args:
        kept: persisted rows with `split` and `__place`.
        label: the label's column.
        categorical: whole-number columns that are categories.
        select: how many columns to keep, for `FeatureSelection.parse`; empty for all.
        seed: of the selection.

    Raises:
        JobRefused: a column's type is not supported, or no feature is informative.
    """
    columns = [name for name in kept.columns if not name.startswith("__") and name != "split"]
    schema = table_schema(kept, columns, label=label, categorical=categorical)
    train = kept.where(F.col("split") == "train")
    scalars = [field for field in schema if field.codec is Codec.SCALAR and not pa.types.is_binary(field.type)]
    candidates = [field.name for field in scalars if field.name != label]
    sample = sample_rows(train, rows=train.count(), columns=len(candidates)).persist(StorageLevel.DISK_ONLY)
    try:
        leaks = label_leaks(sample, label, candidates)
    finally:
        sample.unpersist()
    features = None
    if select:
        selection = FeatureSelection.parse(select, seed=seed)
        features = select_features(
            train,
            [name for name in columns if name != label],
            selection,
            label=label,
            classes=schema[label].vocabulary,
            categorical=categorical,
        )
        schema = schema.select([name for name in columns if name not in set(features.dropped)])
    return LearnedColumns(schema, leaks, features)


def numbers_of(schema: Schema) -> list[str]:
    """Return the fields that have statistics: numbers that are not categories."""
    return [field.name for field in schema if field.codec is Codec.SCALAR and is_numeric(field.type) and not field.vocabulary]


def column_quantiles(train: DataFrame, columns: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
    """Return the quantiles of numeric columns of the train rows by share, as the manifest stores them."""
    by_column = quantiles(train, {name: named(name) for name in columns}, _SHARES)
    return {name: {str(share): value for share, value in sorted(shares.items())} for name, shares in by_column.items()}
