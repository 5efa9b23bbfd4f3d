"""Cleaning tables: named steps from DataFrame to DataFrame; refused rows keep a reason and are never dropped uncounted."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, FloatType, StringType

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.failures import cause_of
from bigdata_ml.prepare.sources.any_source import is_reserved
from bigdata_ml.prepare.tables.key_types import comparable

__all__ = ["DropRule", "Join", "JoinReport", "add_label", "drop_columns", "join_table", "refuse_missing_label", "with_source"]

_JOIN = re.compile(r"(?:(?P<name>\w+)=)?(?P<url>.+):(?P<keys>\w+=\w+(?:,\w+=\w+)*)")
_LABEL = re.compile(r"(?P<name>\w+)(?:\s*=(?!=)\s*(?P<expression>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Join:
    """Another table, each of whose rows is found by its keys.

    Attributes:
        name: prefix of the columns it brings.
        url: where it is.
        keys: pairs (column here, column there).
    """

    name: str
    url: str
    keys: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> "Join":
        """Return the join that `[NAME=]URL:key=key[,key=key]` says; the name is else the file's.

        >>> Join.parse("hdfs://nn:8020/planes.csv:tailnum=tailnum").name
        'planes'
        """
        found = _JOIN.fullmatch(text)
        if found is None:
            raise ValueError(f"a join is written [NAME=]URL:key_here=key_there[,…], got {text!r}")
        keys = tuple((here, there) for here, there in (pair.split("=") for pair in found["keys"].split(",")))
        name = found["name"] or re.sub(r"\W", "_", found["url"].rstrip("/").rsplit("/", 1)[-1].split(".")[0])
        return cls(name, found["url"], keys)


@dataclass(frozen=True, slots=True)
class DropRule:
    """Columns that are left out, and the name of the rule that says why."""

    name: str
    columns: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "DropRule":
        """Return the rule that `[RULE:]A,B` says; its name is else `drop`."""
        name, colon, columns = text.rpartition(":")
        return cls(name if colon else "drop", tuple(one.strip() for one in columns.split(",")))


def parse_rename(texts: Sequence[str]) -> dict[str, str]:
    """Return new names by old ones of texts `OLD=NEW[,OLD=NEW]`.

    Raises:
        ValueError: another form, or a name that stands twice.

    >>> parse_rename(["split=origin"])
    {'split': 'origin'}
    """
    pairs = [pair.partition("=") for text in texts for pair in text.split(",")]
    if not all(old and equals and new for old, equals, new in pairs):
        raise ValueError(f"rename is OLD=NEW[,OLD=NEW], got {', '.join(texts)!r}")
    found = {old.strip(): new.strip() for old, _, new in pairs}
    if len(found) < len(pairs) or len(set(found.values())) < len(pairs):
        raise ValueError(f"rename: a name stands twice in {', '.join(texts)!r}")
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinReport:
    """What a join did: rows before it, how many found their row, how many did not, and how many were multiplied (none)."""

    name: str
    keys: str
    rows: int
    matched: int
    unmatched: int
    multiplied: int

    def to_json(self) -> dict[str, Any]:
        """Return the report as the manifest's provenance holds it."""
        return {name: getattr(self, name) for name in self.__slots__}


def nan_to_null(rows: DataFrame) -> DataFrame:
    """Make NaN null: Spark takes NaN for the greatest number, so that NaN > 15 would be true, and a label."""
    floating = [field.name for field in rows.schema if isinstance(field.dataType, (FloatType, DoubleType))]
    unknown = {name: F.when(~F.isnan(named(name)), named(name)) for name in floating}
    return rows.select(*(unknown[name].alias(name) if name in unknown else named(name) for name in rows.columns))


def with_source(rows: DataFrame) -> DataFrame:
    """Add `__row`, the row as JSON, for the quarantine; `__reason` and `__detail` are null.

    `__source` is the file a row came from, as `table(…, file_column="__source")` brings it; what `read_table` says in `__torn` of
    a row without values refuses it.

    Raises:
        JobRefused: a column is called `split`, as the dataset's directories are, or `__…`, as the job's own columns are.
    """
    ours = ("__source", "__torn")
    taken = [name for name in rows.columns if is_reserved(name) and name not in ours]
    if taken:
        way_out = f"leave it out by --drop {taken[0]}, or give it another by --rename {taken[0]}=NAME"
        raise JobRefused(f"column {taken[0]!r} has a name the job needs for itself; {way_out}")
    columns = [named(name) for name in rows.columns if name not in ours]
    torn = F.col("__torn") if "__torn" in rows.columns else F.lit(None).cast("string")
    return rows.select(
        *columns,
        "__source",
        F.coalesce(F.get_json_object(torn, "$.row"), F.to_json(F.struct(*columns))).alias("__row"),
        F.get_json_object(torn, "$.reason").alias("__reason"),
        F.get_json_object(torn, "$.detail").alias("__detail"),
    )


def refuse_broken_text(rows: DataFrame, columns: Collection[str]) -> DataFrame:
    """Refuse the rows with text in these columns that is not UTF-8, as `not_utf8`; such a value becomes null."""
    bad = {}
    for one in rows.schema:
        if one.name in columns and isinstance(one.dataType, StringType):
            bad[one.name] = ~F.is_valid_utf8(named(one.name))
        elif one.name in columns and isinstance(one.dataType, ArrayType) and isinstance(one.dataType.elementType, StringType):
            bad[one.name] = F.exists(named(one.name), lambda text: ~F.is_valid_utf8(text))
    if not bad:
        return rows
    found = F.coalesce(
        *(F.when(where, F.lit(f"text in column {name!r} is not UTF-8")) for name, where in bad.items()), F.lit(None)
    )
    found = F.when(F.col("__reason").isNull(), found)
    return rows.withColumns(
        {
            "__detail": F.coalesce(found, F.col("__detail")),
            "__reason": F.when(found.isNotNull(), F.lit("not_utf8")).otherwise(F.col("__reason")),
            **{name: F.when(~where, named(name)) for name, where in bad.items()},
        }
    )


def add_label(rows: DataFrame, label: str) -> tuple[DataFrame, str]:
    """Return the rows with their label column, and its name.

    Args:
        rows: the table.
        label: a column, or `NAME=EXPRESSION` with a Spark SQL expression over columns.

    Raises:
        JobRefused: no such column, or an expression that cannot be evaluated.
    """
    label = label.strip()
    if label in rows.columns:
        return rows, label
    found = _LABEL.fullmatch(label)
    there = ", ".join(name for name in rows.columns if not name.startswith("__"))
    if found is None or found["expression"] is None:
        raise JobRefused(f"no column {label!r} for the label, which is a column or NAME=EXPRESSION; the columns are {there}")
    name, expression = found["name"], found["expression"]
    # To Spark `Late` is the column `late`, and would replace it.
    if name.lower() in {"split", *(column.lower() for column in rows.columns)}:
        raise JobRefused(f"the label {name!r} is a column already; give the expression another name")
    try:
        return rows.withColumn(name, F.expr(expression)), name
    except (AnalysisException, ParseException) as error:
        raise JobRefused(f"the label's expression {expression!r} does not fit the columns {there}: {cause_of(error)}") from error


def refuse_missing_label(rows: DataFrame, *, label: str) -> DataFrame:
    """Refuse the rows whose label is not known, as `label_missing`."""
    missing = F.col("__reason").isNull() & named(label).isNull()
    return rows.withColumns(
        {
            "__detail": F.when(missing, F.lit(f"{label} is null")).otherwise(F.col("__detail")),
            "__reason": F.when(missing, F.lit("label_missing")).otherwise(F.col("__reason")),
        }
    )


def drop_columns(rows: DataFrame, rules: Sequence[DropRule], *, left_out: Collection[str] = ()) -> DataFrame:
    """Leave out the columns of the rules; those `left_out` were not read.

    Raises:
        JobRefused: a rule names a column that is not there.
    """
    for rule in rules:
        unknown = [name for name in rule.columns if name not in rows.columns and name not in left_out]
        if unknown:
            there = ", ".join(name for name in rows.columns if not name.startswith("__"))
            raise JobRefused(f"rule {rule.name!r} drops {', '.join(unknown)}, which is no column; the columns are {there}")
    return rows.drop(*(name for rule in rules for name in rule.columns if name not in left_out))


def join_table(rows: DataFrame, other: DataFrame, join: Join) -> DataFrame:
    """Add the columns of `other`, named NAME_COLUMN, to the rows its keys match; no row is lost or multiplied.

    A column `__matched_NAME` says whether a row was matched. A null key matches nothing.

    Raises:
        JobRefused: a key that is no column, keys of types that cannot be compared, or a name that is taken.
    """
    for side, columns, names in (
        ("here", rows.columns, [here for here, _ in join.keys]),
        (join.url, other.columns, [there for _, there in join.keys]),
    ):
        unknown = [name for name in names if name not in columns]
        if unknown:
            raise JobRefused(f"join {join.name!r}: {', '.join(unknown)} is no column of {side}; it has {', '.join(columns)}")
    keys = [there for _, there in join.keys]
    brought = {name: f"{join.name}_{name}" for name in other.columns if name not in keys}
    taken = {name.lower() for name in rows.columns}
    twice = [name for name in (f"__matched_{join.name}", *brought.values()) if name.lower() in taken]
    if twice:
        raise JobRefused(
            f"join {join.name!r} brings {twice[0].removeprefix('__matched_')}, which is there already; "
            f"give it another name: --join NAME={join.url}:…"
        )
    known = other.where(" and ".join(f"`{name}` is not null" for name in keys))
    pairs = [_compared(rows, other, join, here, there) for here, there in join.keys]
    wanted = known.select(
        *(pair[1].alias(f"__key{index}") for index, pair in enumerate(pairs)),
        *(named(name).alias(alias) for name, alias in brought.items()),
        F.lit(True).alias(f"__matched_{join.name}"),
    )
    on = [pair[0] == wanted[f"__key{index}"] for index, pair in enumerate(pairs)]
    joined = rows.join(wanted, on=on, how="left").drop(*(f"__key{index}" for index in range(len(keys))))
    return joined.withColumn(f"__matched_{join.name}", F.coalesce(F.col(f"__matched_{join.name}"), F.lit(False)))


def _compared(rows: DataFrame, other: DataFrame, join: Join, here: str, there: str) -> tuple[Column, Column]:
    kind, found = rows.schema[here].dataType, other.schema[there].dataType
    pair = comparable(rows[here], kind, F.col(there), found)
    if pair is None:
        raise JobRefused(
            f"join {join.name!r}: {here} is {kind.simpleString()}, {there} of {join.url} is {found.simpleString()}, these are "
            f"not compared; give one of them the other's type, such as --types {here}=text, or cast it in the source"
        )
    return pair


def refuse_shared_keys(other: DataFrame, join: Join) -> None:
    """Raise JobRefused if rows of `other` share a key of the join, naming one: they would multiply rows."""
    keys = [there for _, there in join.keys]
    known = other.where(" and ".join(f"`{name}` is not null" for name in keys))
    shared = known.groupBy(*keys).count().where("count > 1").orderBy(*keys).limit(1).collect()
    if shared:
        values = ", ".join(f"{name}={shared[0][name]}" for name in keys)
        raise JobRefused(
            f"join {join.name!r}: {shared[0]['count']} rows of {join.url} share the key {values} and would multiply rows; "
            "join by more columns, or remove the duplicates"
        )


def join_reports(rows: DataFrame, joins: Sequence[Join], *, before: int) -> list[JoinReport]:
    """Count what the joins did, in one pass over the joined rows.

    Args:
        rows: the rows with `__matched_NAME` of each join.
        joins: the joins.
        before: rows before the first join.

    Raises:
        JobRefused: rows were lost or multiplied.
    """
    matched = [F.sum(F.col(f"__matched_{join.name}").cast("long")).alias(join.name) for join in joins]
    found = rows.agg(F.count(F.lit(1)).alias("__rows"), *matched).collect()[0]
    if found["__rows"] != before:
        raise JobRefused(f"the source has {before} rows, {found['__rows']} came through; nothing was published")
    return [
        JoinReport(
            name=join.name,
            keys=", ".join(f"{here}={there}" for here, there in join.keys),
            rows=before,
            matched=found[join.name],
            unmatched=before - found[join.name],
            multiplied=0,
        )
        for join in joins
    ]
