"""What is learned of a cleaned table's columns: their fields, which tell the label, which are worth keeping, their quantiles."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bigdata_ml.prepare.features.leakage import LEAK, Leak, label_leaks
from bigdata_ml.prepare.features.quantiles import quantiles
from bigdata_ml.prepare.features.selection.select import FeatureSelection, FeatureTable, select_features
from bigdata_ml.prepare.features.statistics import is_numeric
from bigdata_ml.prepare.features.train_sample import sample_rows
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.tables.schema import table_schema
from bigdata_ml.schema import Codec, Schema

__all__ = ["LearnedColumns", "column_quantiles", "learn_columns", "numbers_of"]

_SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class LearnedColumns:
    """What was learned of the columns.

    Attributes:
        schema: of the columns that stay.
        leaks: columns that tell the label.
        features: the verdict on each, if features were selected.
    """

    schema: Schema
    leaks: Sequence[Leak]
    features: FeatureTable | None

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that go."""
        return self.features.dropped if self.features else ()

    @property
    def words(self) -> dict[str, str]:
        """What was done, by name, for the manifest."""
        words = {}
        if self.leaks:
            words["columns that tell the label"] = f"{LEAK:.0%} or more of a guess's errors saved, on train rows not learned from"
        if self.features:
            counts = ", ".join(f"{count} {reason}" for reason, count in self.features.reasons().items())
            words["select features"] = f"{len(self.features.kept)} of {len(self.features.verdicts)} columns kept: {counts}"
        return words


def learn_columns(kept: DataFrame, label: str, *, categorical: Collection[str], select: str, seed: int) -> LearnedColumns:
    """Return what is learned of the columns of kept rows; all but the nulls, on train rows alone.

    Args:
        kept: persisted rows with `split` and `__place`.
        label: the label's column.
        categorical: whole-number columns that are categories.
        select: how many columns to keep, as `FeatureSelection.parse` reads it; empty for all.
        seed: of the selection.

    Raises:
        JobRefused: a column that no field holds, or no feature that tells anything.
    """
    columns = [name for name in kept.columns if not name.startswith("__") and name != "split"]
    schema = table_schema(kept, columns, label=label, categorical=categorical)
    train = kept.where(F.col("split") == "train")
    askable = [one.name for one in schema if one.name != label and one.codec is Codec.SCALAR and not pa.types.is_binary(one.type)]
    sample = sample_rows(train, rows=train.count(), columns=len(askable)).persist(StorageLevel.DISK_ONLY)
    try:
        leaks = label_leaks(sample, label, askable)
    finally:
        sample.unpersist()
    features = None
    if select:
        selection = FeatureSelection.parse(select, seed=seed)
        candidates = [name for name in columns if name != label]
        features = select_features(
            train, candidates, selection, label=label, classes=schema[label].vocabulary, categorical=categorical
        )
        schema = schema.select([name for name in columns if name not in set(features.dropped)])
    return LearnedColumns(schema, leaks, features)


def numbers_of(schema: Schema) -> list[str]:
    """Return the fields that have statistics: numbers that are no categories."""
    return [one.name for one in schema if one.codec is Codec.SCALAR and is_numeric(one.type) and not one.vocabulary]


def column_quantiles(train: DataFrame, columns: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
    """Return the train rows' quantiles of numeric columns by share, as the manifest writes them."""
    found = quantiles(train, {name: named(name) for name in columns}, _SHARES)
    return {name: {str(share): value for share, value in sorted(one.items())} for name, one in found.items()}
