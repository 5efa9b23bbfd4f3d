"""Splits that a source has already: taken from the paths of its files instead of being assigned again."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from bigdata_ml.dataset.opening.split_names import split_called, split_in_path, splits_in_paths
from bigdata_ml.prepare.session.progress import say

__all__ = ["GIVEN", "NO_SPLIT", "SplitFrom", "refuse_no_split", "warn_of_given_splits", "warn_of_shared_rows"]

# From train to what is furthest from it.
GIVEN = ("train", "validation", "test")
NO_SPLIT = "its path names no split, and --split-from takes splits from paths"
_PATH = "path:"


@dataclass(frozen=True, slots=True)
class SplitFrom:
    """How a file's path names its split.

    Attributes:
        text: `folder`: a directory or the file's name is called train, val, test or the like (`split_in_path`); `path:REGEX`:
            the expression's first group is such a name.
    """

    text: str

    def __post_init__(self) -> None:
        if self.text == "folder":
            return
        try:
            groups = re.compile(self.text.removeprefix(_PATH)).groups if self.text.startswith(_PATH) else 0
        except re.error as error:
            raise ValueError(f"split_from: {self.text!r} is no regular expression: {error}") from error
        if not groups:
            raise ValueError(
                f"split_from is folder, or path:REGEX with a group in parentheses that is the split's name, got {self.text!r}"
            )

    def find(self, path: str) -> str | None:
        """Return the split that a path names.

        >>> SplitFrom("path:part_([a-z]+)").find("x/part_dev_7.csv")
        'validation'
        """
        if self.text == "folder":
            return split_in_path(path)
        match = re.search(self.text.removeprefix(_PATH), path)
        return split_called(match[1]) if match is not None and match[1] is not None else None

    def of(self, path: Column, *, below: str = "") -> Column:
        """Return the split of each path, or of what of an URL comes after the directory `below`; null where it names none."""
        return _finder(self.find, below)(path)


def _finder(find: Callable[[str], str | None], below: str) -> Callable[[Column], Column]:
    def relative(path: str) -> str:
        _, below_root, rest = path.partition(f"{below.rstrip('/')}/")
        # A file that is the source itself has its name alone.
        return path if not below else rest if below_root else path.rpartition("/")[2]

    def splits(paths: pa.Array) -> pa.Array:
        encoded = paths.dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        known = pa.array([None if path is None else find(relative(path)) for path in texts], pa.string())
        return known.take(encoded.indices)

    return arrow_udf(splits, "string")  # type: ignore[no-any-return, call-overload]


def refuse_no_split(rows: DataFrame, given: Column, *, path: str, reason: str = "reason", detail: str = "detail") -> DataFrame:
    """Refuse the rows whose path gives no split, as `no_split`."""
    missing = F.col(reason).isNull() & given.isNull()
    said = F.concat(F.lit("the path names no split: "), F.col(path))
    return rows.withColumns(
        {
            detail: F.when(missing, said).otherwise(F.col(detail)),
            reason: F.when(missing, F.lit("no_split")).otherwise(F.col(reason)),
        }
    )


def warn_of_given_splits(source: str, paths: Iterable[str]) -> None:
    """Say that the source's paths name splits, if several are named, and that a job makes its own nevertheless."""
    split_of_path = splits_in_paths(list(paths))
    if len(set(split_of_path.values())) > 1:
        path, split = next(iter(split_of_path.items()))
        say(
            f"warning: paths of {source} name splits, such as {path} ({split}), and all rows are divided anew; "
            "--split-from folder takes the splits that are there"
        )


def warn_of_shared_rows(rows: DataFrame) -> None:
    """Say how many kept rows have an equal one in another split; runs a Spark job.

    Args:
        rows: with `__reason`, `split` and `__place`, a hash of the row.
    """
    several = (
        rows.where("__reason is null")
        .groupBy("__place")
        .agg(F.count(F.lit(1)).alias("rows"), F.countDistinct("split").alias("n"))
    )
    shared = several.where("n > 1").agg(F.sum("rows")).collect()[0][0]
    if shared:
        say(
            f"warning: {shared} rows have an equal one in another split, which the paths say; what is tested there was trained on"
        )
