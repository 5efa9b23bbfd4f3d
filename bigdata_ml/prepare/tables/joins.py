"""Joins of tables by their keys: no row is lost or multiplied, and every join is counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.tables.key_types import comparable

__all__ = ["Join", "JoinReport", "join_reports", "join_table", "refuse_shared_keys"]

_JOIN = re.compile(r"(?:(?P<name>\w+)=)?(?P<url>.+):(?P<keys>\w+=\w+(?:,\w+=\w+)*)")


@dataclass(frozen=True, slots=True)
class Join:
    """A table to join by its keys.

    Attributes:
        name: prefix of its columns in the result.
        url: its location.
        keys: pairs (column here, column there).
    """

    name: str
    url: str
    keys: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> "Join":
        """Parse `[NAME=]URL:key=key[,key=key]`; the default name is the file's.

        >>> Join.parse("hdfs://nn:8020/planes.csv:tailnum=tailnum").name
        'planes'
        """
        match = _JOIN.fullmatch(text)
        if match is None:
            raise ValueError(f"join must be [NAME=]URL:key_here=key_there[,…], got {text!r}")
        keys = tuple((here, there) for here, there in (pair.split("=") for pair in match["keys"].split(",")))
        name = match["name"] or re.sub(r"\W", "_", match["url"].rstrip("/").rsplit("/", 1)[-1].split(".")[0])
        return cls(name, match["url"], keys)


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinReport:
    """Counts of a join: rows before it, and how many of them were matched, unmatched and multiplied (none)."""

    name: str
    keys: str
    rows: int
    matched: int
    unmatched: int
    multiplied: int


def join_table(rows: DataFrame, right: DataFrame, join: Join) -> DataFrame:
    """Add the columns of `right`, named NAME_COLUMN, to the rows with equal keys; no row is lost or multiplied.

    A column `__matched_NAME` records whether a row was matched. A null key matches nothing.

    Raises:
        JobRefused: a key is not a column, the types of the keys cannot be compared, or a column's name is taken.
    """
    for side, columns, names in (
        ("the source", rows.columns, [here for here, _ in join.keys]),
        (join.url, right.columns, [there for _, there in join.keys]),
    ):
        unknown = [name for name in names if name not in columns]
        if unknown:
            raise JobRefused(f"join {join.name!r}: {', '.join(unknown)} is not a column of {side}; it has {', '.join(columns)}")
    keys = [there for _, there in join.keys]
    added = {name: f"{join.name}_{name}" for name in right.columns if name not in keys}
    taken = {name.lower() for name in rows.columns}
    clashing = [name for name in (f"__matched_{join.name}", *added.values()) if name.lower() in taken]
    if clashing:
        raise JobRefused(
            f"join {join.name!r} adds {clashing[0].removeprefix('__matched_')}, which exists already; "
            f"give the join another name: --join NAME={join.url}:…"
        )
    known = right.where(" and ".join(f"`{name}` is not null" for name in keys))
    pairs = [_key_pair(rows, right, join, here, there) for here, there in join.keys]
    wanted = known.select(
        *(pair[1].alias(f"__key{index}") for index, pair in enumerate(pairs)),
        *(named(name).alias(alias) for name, alias in added.items()),
        F.lit(True).alias(f"__matched_{join.name}"),
    )
    on = [pair[0] == wanted[f"__key{index}"] for index, pair in enumerate(pairs)]
    joined = rows.join(wanted, on=on, how="left").drop(*(f"__key{index}" for index in range(len(keys))))
    return joined.withColumn(f"__matched_{join.name}", F.coalesce(F.col(f"__matched_{join.name}"), F.lit(False)))


def _key_pair(rows: DataFrame, right: DataFrame, join: Join, here: str, there: str) -> tuple[Column, Column]:
    kind, right_kind = rows.schema[here].dataType, right.schema[there].dataType
    pair = comparable(rows[here], kind, F.col(there), right_kind)
    if pair is None:
        raise JobRefused(
            f"join {join.name!r}: {here} is {kind.simpleString()}, {there} of {join.url} is {right_kind.simpleString()}, and "
            f"these cannot be compared; give both one type, such as --types {here}=text, or cast one in the source"
        )
    return pair


def refuse_shared_keys(right: DataFrame, join: Join) -> None:
    """Raise JobRefused if rows of `right` share a key, because they would multiply rows; the text names a key."""
    keys = [there for _, there in join.keys]
    known = right.where(" and ".join(f"`{name}` is not null" for name in keys))
    shared = known.groupBy(*keys).count().where("count > 1").orderBy(*keys).limit(1).collect()
    if shared:
        values = ", ".join(f"{name}={shared[0][name]}" for name in keys)
        raise JobRefused(
            f"join {join.name!r}: {shared[0]['count']} rows of {join.url} share the key {values} and would multiply rows; "
            "join by more columns, or remove the duplicates"
        )


def join_reports(rows: DataFrame, joins: Sequence[Join], *, before: int) -> list[JoinReport]:
    """Count matched rows of each join, in one pass over the joined rows.

    Args:
        rows: the rows with `__matched_NAME` of each join.
        joins: the joins.
        before: rows before the first join.

    Raises:
        JobRefused: rows were lost or multiplied.
    """
    matched = [F.sum(F.col(f"__matched_{join.name}").cast("long")).alias(join.name) for join in joins]
    counts = rows.agg(F.count(F.lit(1)).alias("__rows"), *matched).collect()[0]
    if counts["__rows"] != before:
        raise JobRefused(f"the source has {before} rows, but {counts['__rows']} are left after the joins; nothing was published")
    return [
        JoinReport(
            name=join.name,
            keys=", ".join(f"{here}={there}" for here, there in join.keys),
            rows=before,
            matched=counts[join.name],
            unmatched=before - counts[join.name],
            multiplied=0,
        )
        for join in joins
    ]
