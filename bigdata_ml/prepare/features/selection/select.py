"""Selects the informative columns of hundreds or thousands, and ranks them; every verdict has a reason."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql.types import BooleanType, DataType, DateType, NumericType, StringType, TimestampNTZType, TimestampType

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.features.selection.digests import ColumnDigest, column_digests
from bigdata_ml.prepare.features.selection.matrix import feature_matrix, fit_encoder
from bigdata_ml.prepare.features.selection.spark_tests import TestResult, forest_importances, univariate_tests
from bigdata_ml.prepare.features.selection.verdicts import FeatureSelection, FeatureTable, FeatureVerdict
from bigdata_ml.prepare.features.train_sample import sample_rows, sampled_columns

__all__ = ["FeatureSelection", "FeatureTable", "select_features"]

_MOST_CLASSES = 1000
_JUDGED = (NumericType, StringType, BooleanType, DateType, TimestampType, TimestampNTZType)


def select_features(
    train: DataFrame,
    columns: Sequence[str],
    selection: FeatureSelection,
    *,
    label: str,
    classes: bool,
    categorical: Collection[str] = (),
) -> FeatureTable:
    """Return which columns are informative about the label, judged on the train rows only.

    These columns are dropped, in this order: constant ones, mostly null ones and copies (found on all rows, by digests);
    nearly constant ones; the weaker of two correlated ones; those that a forest ranks below the requested number.

    Args:
        train: persisted train rows with `__place`.
        columns: the candidates; columns of lists and bytes are not judged and are kept.
        selection: thresholds and how many to keep.
        label: the label's column.
        classes: whether the label is a class and not a number.
        categorical: whole-number columns that are categories; text always is.

    Raises:
        JobRefused: the label has more than 1,000 classes, or no column is informative.
    """
    kinds = {name: train.schema[name].dataType for name in columns}
    judged = [name for name in columns if isinstance(kinds[name], _JUDGED)]
    verdicts = {name: FeatureVerdict(column=name, kept=True, reason="not judged: no test supports its type") for name in columns}
    digests = column_digests(train, judged)
    rows = next((digest.rows for digest in digests.values()), 0)
    for name in judged:
        verdicts[name] = FeatureVerdict(column=name, kept=False, reason="", nulls=digests[name].nulls / max(rows, 1))
    left = _without_copies(judged, digests, kinds, verdicts, selection)
    sample = sample_rows(train, rows=rows, columns=len(left)).persist(StorageLevel.DISK_ONLY)
    try:
        left = _without_near_constants(sample, left, verdicts, selection)
        if not left:
            counts = FeatureTable(tuple(verdicts.values())).reasons()
            reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
            raise JobRefused(f"--select-features: none of {len(columns)} columns is informative: {reasons}; remove the option")
        categories = {name for name in left if isinstance(kinds[name], StringType) or name in categorical}
        return _ranked(sample, train, left, categories, verdicts, selection, label, classes)
    finally:
        sample.unpersist()


def _without_copies(
    columns: Sequence[str],
    digests: Mapping[str, ColumnDigest],
    kinds: Mapping[str, DataType],
    verdicts: dict[str, FeatureVerdict],
    selection: FeatureSelection,
) -> list[str]:
    left: list[str] = []
    first: dict[tuple[str, int], str] = {}
    for name in columns:
        digest = digests[name]
        if digest.constant:
            verdicts[name] = replace(verdicts[name], reason="constant")
        elif verdicts[name].nulls > selection.most_null:
            verdicts[name] = replace(verdicts[name], reason=f"mostly null: {verdicts[name].nulls:.1%}")
        elif (kinds[name].simpleString(), digest.digest) in first:
            verdicts[name] = replace(verdicts[name], reason=f"copy: of {first[kinds[name].simpleString(), digest.digest]}")
        else:
            first[kinds[name].simpleString(), digest.digest] = name
            left.append(name)
    return left


def _without_near_constants(
    sample: DataFrame, columns: Sequence[str], verdicts: dict[str, FeatureVerdict], selection: FeatureSelection
) -> list[str]:
    left = []
    for name, values in sampled_columns(sample, columns):
        counts = pc.value_counts(values).field("counts")
        share = pc.max(counts).as_py() / len(values) if len(values) else 1.0
        verdicts[name] = replace(verdicts[name], commonest=share)
        if share > selection.most_common:
            verdicts[name] = replace(verdicts[name], reason=f"nearly constant: {share:.2%} of the values are equal")
        else:
            left.append(name)
    return left


def _ranked(
    sample: DataFrame,
    train: DataFrame,
    columns: Sequence[str],
    categories: Collection[str],
    verdicts: dict[str, FeatureVerdict],
    selection: FeatureSelection,
    label: str,
    classes: bool,
) -> FeatureTable:
    encoders, doubles = {}, {}
    for name, values in sampled_columns(sample, columns):
        encoders[name] = fit_encoder(values.cast(pa.string()) if name in categories else values)
        if name not in categories:
            doubles[name] = encoders[name].encode(values).astype(np.float32)
    known = _classes(train, label) if classes else None
    results: dict[str, TestResult] = {}
    for categorical in (False, True):
        names = [name for name in columns if (name in categories) == categorical]
        if names:
            matrix = feature_matrix(sample, {name: encoders[name] for name in names}, label=label, classes=known)
            results.update(zip(names, univariate_tests(matrix, categorical=categorical, classes=classes), strict=True))
    for name, result in results.items():
        verdicts[name] = replace(verdicts[name], test=result.test, statistic=result.statistic, p=result.p)
    left = _without_correlated(doubles, columns, results, verdicts, selection)
    matrix = feature_matrix(sample, {name: encoders[name] for name in left}, label=label, classes=known)
    matrix = matrix.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        shares = forest_importances(matrix, classes=classes, trees=selection.trees, depth=selection.depth, seed=selection.seed)
    finally:
        matrix.unpersist()
    importances = dict(zip(left, shares, strict=True))
    wanted = selection.wanted(len(verdicts)) - sum(verdict.kept for verdict in verdicts.values())
    order = sorted(left, key=lambda name: (-importances[name], results[name].p, -results[name].statistic, name))
    for rank, name in enumerate(order, start=1):
        kept = rank <= wanted and importances[name] > 0
        reason = "kept: among the most important" if kept else "unused: no tree splits by it"
        if rank > wanted:
            reason = f"ranked too low: rank {rank}, {max(wanted, 0)} were requested"
        verdicts[name] = replace(verdicts[name], kept=kept, reason=reason, rank=rank, importance=importances[name])
    return FeatureTable(
        tuple(
            sorted(verdicts.values(), key=lambda verdict: (not verdict.kept, verdict.rank or len(verdicts) + 1, verdict.column))
        )
    )


def _without_correlated(
    doubles: Mapping[str, np.ndarray],
    columns: Sequence[str],
    results: Mapping[str, TestResult],
    verdicts: dict[str, FeatureVerdict],
    selection: FeatureSelection,
) -> list[str]:
    """Drop each numeric column that is correlated with a kept column that has a stronger test."""
    order = sorted(doubles, key=lambda name: (results[name].p, -results[name].statistic, name))
    if len(order) < 2:
        return list(columns)
    matrix = np.stack([doubles[name] for name in order])
    matrix = matrix - matrix.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    lengths = np.sqrt((matrix.astype(np.float64) ** 2).sum(axis=1))
    matrix /= np.where(lengths > 0, lengths, 1).astype(np.float32)[:, None]
    correlations = np.abs(matrix @ matrix.T)
    kept: list[int] = []
    dropped = set()
    for place, name in enumerate(order):
        strongest = max(kept, key=lambda index: (correlations[place, index], -index), default=place)
        if strongest != place and correlations[place, strongest] > selection.most_correlated:
            reason = f"correlated: {correlations[place, strongest]:.3f} with {order[strongest]}"
            verdicts[name] = replace(verdicts[name], reason=reason)
            dropped.add(name)
        else:
            kept.append(place)
    return [name for name in columns if name not in dropped]


def _classes(train: DataFrame, label: str) -> list[object]:
    values = [row[0] for row in train.select(train[f"`{label}`"]).distinct().limit(_MOST_CLASSES + 1).collect()]
    if len(values) > _MOST_CLASSES:
        raise JobRefused(f"--select-features: the label {label!r} has more than {_MOST_CLASSES} classes, which no test supports")
    return sorted(values, key=str)
