"""Steps of cleaning a table, from DataFrame to DataFrame; every refused row keeps a reason and is counted."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, FloatType, StringType

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.failures import cause_of
from bigdata_ml.prepare.sources.any_source import is_reserved
from bigdata_ml.prepare.tables.rules.rulebook import refuse_rows

__all__ = [
    "DropRule", "add_label", "drop_columns", "nan_to_null", "parse_names", "parse_rename", "refuse_broken_text",
    "refuse_missing_label", "visible_columns", "with_source",
]  # fmt: skip

_LABEL = re.compile(r"(?P<name>\w+)(?:\s*=(?!=)\s*(?P<expression>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DropRule:
    """Columns to drop, and the name of the rule that gives the reason."""

    name: str
    columns: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "DropRule":
        """Parse `[RULE:]A,B`; the default name is `drop`."""
        name, colon, columns = text.rpartition(":")
        return cls(name if colon else "drop", tuple(column.strip() for column in columns.split(",")))


def parse_rename(texts: Sequence[str]) -> dict[str, str]:
    """Parse texts `OLD=NEW[,OLD=NEW]` to new names by old ones.

    Raises:
        ValueError: another form, or a name that occurs twice.

    >>> parse_rename(["split=origin"])
    {'split': 'origin'}
    """
    pairs = [pair.partition("=") for text in texts for pair in text.split(",")]
    if not all(old and equals and new for old, equals, new in pairs):
        raise ValueError(f"rename must be OLD=NEW[,OLD=NEW], got {', '.join(texts)!r}")
    names = {old.strip(): new.strip() for old, _, new in pairs}
    if len(names) < len(pairs) or len(set(names.values())) < len(pairs):
        raise ValueError(f"rename: a name occurs twice in {', '.join(texts)!r}")
    return names


def parse_names(text: str) -> tuple[str, ...]:
    """Parse `A,B`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def visible_columns(rows: DataFrame) -> tuple[str, ...]:
    """Return the names of the table's own columns."""
    return tuple(name for name in rows.columns if not name.startswith("__") and name != "split")


def nan_to_null(rows: DataFrame) -> DataFrame:
    """Replace NaN by null. Spark orders NaN above all numbers, so `NaN > 15` would be true and become a label."""
    floating = [field.name for field in rows.schema if isinstance(field.dataType, (FloatType, DoubleType))]
    replaced = {name: F.when(~F.isnan(named(name)), named(name)) for name in floating}
    return rows.select(*(replaced[name].alias(name) if name in replaced else named(name) for name in rows.columns))


def with_source(rows: DataFrame) -> DataFrame:
    """Add `__row`, the row as JSON for the quarantine, and `__reason` and `__detail`.

    `__source` is the file of a row, as `table(…, file_column="__source")` adds it. `__torn` of a malformed row gives its reason;
    other rows have none.

    Raises:
        JobRefused: a column is called `split`, like the dataset's directories, or `__…`, like the job's own columns.
    """
    own = ("__source", "__torn")
    taken = [name for name in rows.columns if is_reserved(name) and name not in own]
    if taken:
        way_out = f"remove it by --drop {taken[0]}, or rename it by --rename {taken[0]}=NAME"
        raise JobRefused(f"column {taken[0]!r} has a name that is reserved for the job; {way_out}")
    columns = [named(name) for name in rows.columns if name not in own]
    torn = F.col("__torn") if "__torn" in rows.columns else F.lit(None).cast("string")
    return rows.select(
        *columns,
        "__source",
        F.coalesce(F.get_json_object(torn, "$.row"), F.to_json(F.struct(*columns))).alias("__row"),
        F.get_json_object(torn, "$.reason").alias("__reason"),
        F.get_json_object(torn, "$.detail").alias("__detail"),
    )


def refuse_broken_text(rows: DataFrame, columns: Collection[str]) -> DataFrame:
    """Refuse rows with text in these columns that is not UTF-8 as `not_utf8`; the value becomes null."""
    invalid = {}
    for name in (name for name in rows.columns if name in columns):
        kind = rows.schema[name].dataType
        if isinstance(kind, StringType):
            invalid[name] = ~F.is_valid_utf8(named(name))
        elif isinstance(kind, ArrayType) and isinstance(kind.elementType, StringType):
            invalid[name] = F.exists(named(name), lambda text: ~F.is_valid_utf8(text))
    if not invalid:
        return rows
    details = [F.when(where, F.lit(f"text in column {name!r} is not UTF-8")) for name, where in invalid.items()]
    detail = F.coalesce(*details, F.lit(None))
    rows = refuse_rows(rows, detail.isNotNull(), reason=F.lit("not_utf8"), detail=detail)
    return rows.withColumns({name: F.when(~where, named(name)) for name, where in invalid.items()})


def add_label(rows: DataFrame, label: str) -> tuple[DataFrame, str]:
    """Return the rows with their label column, and its name.

    Args:
        rows: the table.
        label: a column, or `NAME=EXPRESSION` with a Spark SQL expression over columns.

    Raises:
        JobRefused: the column does not exist, or the expression is invalid.
    """
    label = label.strip()
    if label in rows.columns:
        return rows, label
    match = _LABEL.fullmatch(label)
    known = ", ".join(name for name in rows.columns if not name.startswith("__"))
    if match is None or match["expression"] is None:
        raise JobRefused(f"the label {label!r} is not a column or NAME=EXPRESSION; the columns are {known}")
    name, expression = match["name"], match["expression"]
    # Spark ignores case: `Late` would replace the column `late`.
    if name.lower() in {"split", *(column.lower() for column in rows.columns)}:
        raise JobRefused(f"the label {name!r} already names a column; give the expression another name")
    try:
        return rows.withColumn(name, F.expr(expression)), name
    except (AnalysisException, ParseException) as error:
        raise JobRefused(f"the label's expression {expression!r} does not fit the columns {known}: {cause_of(error)}") from error


def refuse_missing_label(rows: DataFrame, *, label: str) -> DataFrame:
    """Refuse rows without a label as `label_missing`."""
    return refuse_rows(rows, named(label).isNull(), reason=F.lit("label_missing"), detail=F.lit(f"{label} is null"))


def drop_columns(rows: DataFrame, rules: Sequence[DropRule], *, left_out: Collection[str] = ()) -> DataFrame:
    """Drop the columns of the rules; columns in `left_out` were never read.

    Raises:
        JobRefused: a rule names an unknown column.
    """
    for rule in rules:
        unknown = [name for name in rule.columns if name not in rows.columns and name not in left_out]
        if unknown:
            known = ", ".join(name for name in rows.columns if not name.startswith("__"))
            raise JobRefused(f"rule {rule.name!r} drops the unknown column {', '.join(unknown)}; the columns are {known}")
    return rows.drop(*(name for rule in rules for name in rule.columns if name not in left_out))
