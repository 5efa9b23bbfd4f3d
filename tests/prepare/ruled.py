"""Tables cleaned by rules, without publishing them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.prepare.sources import table
from bigdata_ml.prepare.tables.cleaning import TableCleaner
from bigdata_ml.prepare.tables.rules.row_rules import check_patterns
from bigdata_ml.prepare.tables.rules.rulebook import RuleTally, tally_rules, with_violations
from bigdata_ml.prepare.tables.rules.yaml_file import parse_rules
from bigdata_ml.prepare.tables.steps import with_source


class RuledTable:
    """The rows of a table after its rules: all are train rows."""

    def __init__(self, spark: SparkSession, place: Path, rows: Sequence[dict[str, Any]] | str, rules: str) -> None:
        path = place / ("t.csv" if isinstance(rows, str) else "t.jsonl")
        path.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
        self.cleaner = TableCleaner.of(parse_rules(rules))
        check_patterns(spark, self.cleaner.rules.columns)
        source = table(spark, str(path), as_text=self.cleaner.typed, file_column="__source")
        read = source.transform(with_source).transform(with_violations)
        self.cleaner.check_columns([name for name in read.columns if not name.startswith("__")])
        cleaned = self.cleaner.by_row(read, read.columns).withColumn("split", F.lit("train"))
        cleaned = self.cleaner.among_rows(cleaned, read=lambda url: table(spark, url))
        self.rows: DataFrame
        self.rows, self.bounds = self.cleaner.outliers(cleaned)

    @property
    def tally(self) -> RuleTally:
        return tally_rules(self.rows, self.cleaner.book)

    def values(self, column: str) -> list[Any]:
        """Values of the kept rows, in the order of the column `id`."""
        kept = self.rows.where("__reason is null").orderBy("id").select(F.col(f"`{column}`")).collect()
        return [row[0] for row in kept]

    @property
    def refused(self) -> dict[Any, str]:
        """Reason of each refused row by its id."""
        return {row["id"]: row["__reason"] for row in self.rows.where("__reason is not null").select("id", "__reason").collect()}

    @property
    def details(self) -> dict[Any, str]:
        return {row["id"]: row["__detail"] for row in self.rows.where("__reason is not null").select("id", "__detail").collect()}
