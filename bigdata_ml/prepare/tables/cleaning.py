"""Cleans a table by its rules: rules on single rows, rules across rows, and outliers found from the train rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.tables.rules import table_rules
from bigdata_ml.prepare.tables.rules.model import TableRules
from bigdata_ml.prepare.tables.rules.row_rules import apply_row_rules
from bigdata_ml.prepare.tables.rules.rulebook import Rulebook, settle
from bigdata_ml.prepare.tables.rules.table_rules import Bounds, Read
from bigdata_ml.prepare.tables.rules.yaml_file import nearest

__all__ = ["TableCleaner"]


@dataclass(frozen=True, slots=True)
class TableCleaner:
    """Applies a table's rules.

    Attributes:
        rules: the table's rules.
        book: the rules, numbered.
        form: how numbers are written in text columns.
    """

    rules: TableRules
    book: Rulebook
    form: TextFormat

    @classmethod
    def of(cls, rules: TableRules, *, form: TextFormat | None = None) -> "TableCleaner":
        """Return a cleaner that applies these rules."""
        return cls(rules, Rulebook.of(rules), form or TextFormat())

    @property
    def typed(self) -> tuple[str, ...]:
        """Columns to which a rule gives a type."""
        return tuple(rules.name for rules in self.rules.columns if rules.type)

    @property
    def referenced(self) -> tuple[str, ...]:
        """URLs of the tables that rules refer to."""
        return tuple(rules.references.table for rules in self.rules.columns if rules.references)

    def by_row(self, rows: DataFrame, columns: Sequence[str]) -> DataFrame:
        """Apply the row rules of those columns."""
        rules = [rules for rules in self.rules.columns if rules.name in columns]
        return settle(apply_row_rules(rows, rules, self.book, form=self.form), self.book)

    def check_columns(self, columns: Sequence[str]) -> None:
        """Raise JobRefused if a rule names a column that is not listed; the text suggests the nearest."""
        duplicates = self.rules.duplicates
        keys = [("duplicates", name) for name in (*duplicates.key, duplicates.by) if name] if duplicates else []
        for rule, name in [*((f"of column {rules.name!r}", rules.name) for rules in self.rules.columns), *keys]:
            if name not in columns:
                meant, known = nearest(name, columns), ", ".join(columns)
                raise JobRefused(f"--rules: the rules {rule} name the unknown column {name!r}; {meant}the columns are {known}")

    def among_rows(self, rows: DataFrame, *, read: Read) -> DataFrame:
        """Apply the rules that compare rows, in this order: references, duplicates, unique values."""
        rows = table_rules.refuse_unreferenced(rows, self.rules.columns, self.book, read=read)
        if self.rules.duplicates:
            rows = table_rules.refuse_duplicates_by_key(rows, self.rules.duplicates, self.book)
        return table_rules.refuse_shared_values(rows, self.rules.columns, self.book)

    @property
    def bounded(self) -> tuple[str, ...]:
        """Columns whose bounds are computed from the train rows."""
        return tuple(rules.name for rules in self.rules.columns if rules.outliers)

    def outliers(self, rows: DataFrame) -> tuple[DataFrame, Mapping[str, Bounds]]:
        """Apply the outlier rules; also return their bounds, computed from the train rows that no rule refused."""
        if not self.bounded:
            return rows, {}
        bounds = table_rules.outlier_bounds(
            rows.where(F.col("__reason").isNull() & (F.col("split") == "train")), self.rules.columns
        )
        return settle(table_rules.apply_outliers(rows, self.rules.columns, bounds, self.book), self.book), bounds

    def words(self, bounds: Mapping[str, Bounds]) -> dict[str, str]:
        """Return the description of each rule by name, for the manifest."""
        words = {rule.name: f"{rule.words}; otherwise {rule.severity.value}" for rule in self.book.rules}
        for name, limit in bounds.items():
            words[f"{name}.outliers"] += f"; found {limit.least:.12g} to {limit.greatest:.12g}"
        return words
