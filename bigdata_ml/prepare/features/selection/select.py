"""Feature selection: of hundreds or thousands of columns those that tell something, ranked, each with the reason."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

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
from bigdata_ml.prepare.features.train_sample import sample_rows, sampled_columns

__all__ = ["FeatureSelection", "FeatureTable", "FeatureVerdict", "select_features"]

_MOST_CLASSES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureSelection:
    """What makes a column a feature.

    Attributes:
        keep: how many columns stay at most; a share below 1 is of the columns there were.
        most_null: columns with a larger share of nulls go, 0 … 1.
        most_common: columns of whose values a larger share is one and the same go, 0 … 1 (measured on the sample).
        most_correlated: of two numeric columns whose correlation (Pearson's, nulls at the median) is larger in size, the one
            with the weaker univariate test goes, 0 … 1 (measured on the sample).
        trees, depth: of the forest whose importances rank what is left.
        seed: of the forest.
    """

    keep: float
    most_null: float = 0.95
    most_common: float = 0.995
    most_correlated: float = 0.95
    trees: int = 60
    depth: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.keep <= 0 or (self.keep > 1 and self.keep != int(self.keep)):
            raise ValueError(f"keep is a number of columns, or a share of them between 0 and 1, got {self.keep}")
        for name in ("most_null", "most_common", "most_correlated"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share between 0 and 1, got {getattr(self, name)}")

    @classmethod
    def parse(cls, text: str, *, seed: int = 0) -> "FeatureSelection":
        """Return the selection that `120` (columns) or `10%` (of the columns) says."""
        try:
            keep = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(int(text))
        except ValueError as error:
            raise ValueError(f"a number of columns or a percentage must be selected, such as 120 or 10%, got {text!r}") from error
        return cls(keep=keep, seed=seed)

    def wanted(self, columns: int) -> int:
        """Return how many of so many columns stay at most."""
        return int(self.keep) if self.keep > 1 or self.keep == int(self.keep) else max(1, int(self.keep * columns))


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureVerdict:
    """What was found of one column.

    Attributes:
        column: its name.
        kept: whether it stays.
        reason: why it stays or goes, in words.
        rank: its place by importance among those that came so far, from 1 on.
        nulls: share of nulls.
        commonest: share of the commonest value, null included.
        test, statistic, p: the univariate test against the label.
        importance: in the forest, 0 … 1.
    """

    column: str
    kept: bool
    reason: str
    rank: int | None = None
    nulls: float = 0.0
    commonest: float | None = None
    test: str | None = None
    statistic: float | None = None
    p: float | None = None
    importance: float | None = None


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The verdict on every column: those that stay first, by rank, then those that went, by rank and name."""

    verdicts: tuple[FeatureVerdict, ...]

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that stay, the most important first."""
        return tuple(one.column for one in self.verdicts if one.kept)

    @property
    def dropped(self) -> tuple[str, ...]:
        """The columns that go."""
        return tuple(one.column for one in self.verdicts if not one.kept)

    def reasons(self) -> dict[str, int]:
        """Return the number of columns by the first words of the reason."""
        counts: dict[str, int] = {}
        for one in self.verdicts:
            reason = one.reason.split(":")[0]
            counts[reason] = counts.get(reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def to_json(self) -> list[dict[str, Any]]:
        """Return a record a column, keys without a value left out."""
        return [{key: value for key, value in asdict(one).items() if value is not None} for one in self.verdicts]

    def to_arrow(self) -> pa.Table:
        """Return a row a column."""
        return pa.Table.from_pylist([asdict(one) for one in self.verdicts])


def select_features(
    train: DataFrame,
    columns: Sequence[str],
    selection: FeatureSelection,
    *,
    label: str,
    classes: bool,
    categorical: Collection[str] = (),
) -> FeatureTable:
    """Return which columns tell something of the label, judged on the train rows alone.

    One after the other go: constant columns and copies of others (found on all rows, by digests), those mostly null, those
    nearly constant, the weaker of two correlated ones, and those that a forest ranks below the number asked for.

    Args:
        train: persisted train rows with `__place`.
        columns: candidates; those of lists and bytes are not judged and stay.
        selection: thresholds and how many to keep.
        label: the label's column.
        classes: whether the label is a class rather than a number.
        categorical: whole-number columns that are categories; text always is.

    Raises:
        JobRefused: a label of more than 1,000 classes, or no column that tells anything.
    """
    kinds = {name: train.schema[name].dataType for name in columns}
    judged = [name for name in columns if _judgeable(kinds[name])]
    verdicts = {
        name: FeatureVerdict(column=name, kept=True, reason="not judged: of a type that no test takes") for name in columns
    }
    digests = column_digests(train, judged)
    rows = next((one.rows for one in digests.values()), 0)
    for name in judged:
        verdicts[name] = FeatureVerdict(column=name, kept=False, reason="", nulls=digests[name].nulls / max(rows, 1))
    left = _without_copies(judged, digests, kinds, verdicts, selection)
    sample = sample_rows(train, rows=rows, columns=len(left)).persist(StorageLevel.DISK_ONLY)
    try:
        left = _without_near_constants(sample, left, verdicts, selection)
        if not left:
            raise JobRefused(
                f"--select-features: none of {len(columns)} columns tells anything: {_counted(verdicts)}; select none"
            )
        worded = {name for name in left if isinstance(kinds[name], StringType) or name in categorical}
        return _ranked(sample, train, left, worded, verdicts, selection, label, classes)
    finally:
        sample.unpersist()


def _judgeable(kind: DataType) -> bool:
    return isinstance(kind, NumericType | StringType | BooleanType | DateType | TimestampType | TimestampNTZType)


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
            verdicts[name] = replace(verdicts[name], reason=f"nearly constant: {share:.2%} of the values are one")
        else:
            left.append(name)
    return left


def _ranked(
    sample: DataFrame,
    train: DataFrame,
    columns: Sequence[str],
    worded: Collection[str],
    verdicts: dict[str, FeatureVerdict],
    selection: FeatureSelection,
    label: str,
    classes: bool,
) -> FeatureTable:
    encoders, doubles = {}, {}
    for name, values in sampled_columns(sample, columns):
        encoders[name] = fit_encoder(values.cast(pa.string()) if name in worded else values)
        if name not in worded:
            doubles[name] = encoders[name].encode(values).astype(np.float32)
    known = _classes(train, label) if classes else None
    results: dict[str, TestResult] = {}
    for categorical in (False, True):
        names = [name for name in columns if (name in worded) == categorical]
        if names:
            matrix = feature_matrix(sample, {name: encoders[name] for name in names}, label=label, classes=known)
            results.update(zip(names, univariate_tests(matrix, categorical=categorical, classes=classes), strict=True))
    for name, one in results.items():
        verdicts[name] = replace(verdicts[name], test=one.test, statistic=one.statistic, p=one.p)
    left = _without_correlated(doubles, columns, results, verdicts, selection)
    matrix = feature_matrix(sample, {name: encoders[name] for name in left}, label=label, classes=known)
    matrix = matrix.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        shares = forest_importances(matrix, classes=classes, trees=selection.trees, depth=selection.depth, seed=selection.seed)
    finally:
        matrix.unpersist()
    importances = dict(zip(left, shares, strict=True))
    wanted = selection.wanted(len(verdicts)) - sum(one.kept for one in verdicts.values())
    order = sorted(left, key=lambda name: (-importances[name], results[name].p, -results[name].statistic, name))
    for rank, name in enumerate(order, start=1):
        stays = rank <= wanted and importances[name] > 0
        reason = "kept: among the most important" if stays else f"ranked too low: place {rank}, {max(wanted, 0)} were asked for"
        if rank <= wanted and not stays:
            reason = "unused: no tree splits by it"
        verdicts[name] = replace(verdicts[name], kept=stays, reason=reason, rank=rank, importance=importances[name])
    return FeatureTable(
        tuple(sorted(verdicts.values(), key=lambda one: (not one.kept, one.rank or len(verdicts) + 1, one.column)))
    )


def _without_correlated(
    doubles: Mapping[str, np.ndarray],
    columns: Sequence[str],
    results: Mapping[str, TestResult],
    verdicts: dict[str, FeatureVerdict],
    selection: FeatureSelection,
) -> list[str]:
    """Walk the numeric columns from the strongest test down; one that is correlated with a stronger one that stays goes."""
    order = sorted(doubles, key=lambda name: (results[name].p, -results[name].statistic, name))
    if len(order) < 2:
        return list(columns)
    matrix = np.stack([doubles[name] for name in order])
    matrix = matrix - matrix.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    lengths = np.sqrt((matrix.astype(np.float64) ** 2).sum(axis=1))
    matrix /= np.where(lengths > 0, lengths, 1).astype(np.float32)[:, None]
    correlations = np.abs(matrix @ matrix.T)
    stays: list[int] = []
    gone = set()
    for place, name in enumerate(order):
        near = [one for one in stays if correlations[place, one] > selection.most_correlated]
        if near:
            with_most = max(near, key=lambda one: (correlations[place, one], -one))
            reason = f"correlated: {correlations[place, with_most]:.3f} with {order[with_most]}"
            verdicts[name] = replace(verdicts[name], reason=reason)
            gone.add(name)
        else:
            stays.append(place)
    return [name for name in columns if name not in gone]


def _classes(train: DataFrame, label: str) -> list[object]:
    found = [row[0] for row in train.select(train[f"`{label}`"]).distinct().limit(_MOST_CLASSES + 1).collect()]
    if len(found) > _MOST_CLASSES:
        raise JobRefused(f"--select-features: the label {label!r} has more than {_MOST_CLASSES} classes, which no test bears")
    return sorted(found, key=str)


def _counted(verdicts: Mapping[str, FeatureVerdict]) -> str:
    counts = FeatureTable(tuple(verdicts.values())).reasons()
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())
