"""The cleaning of a table by its rules: what rows decide by themselves, with each other, and by what the train rows say."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.tables.rules.model import TableRules
from bigdata_ml.prepare.tables.rules.row_rules import apply_row_rules
from bigdata_ml.prepare.tables.rules.rulebook import Rulebook, rulebook, settle
from bigdata_ml.prepare.tables.rules.table_rules import (
    Bounds,
    Read,
    apply_outliers,
    outlier_bounds,
    refuse_duplicates_by_key,
    refuse_shared_values,
    refuse_unreferenced,
)

__all__ = ["TableCleaner"]


@dataclass(frozen=True, slots=True)
class TableCleaner:
    """Applies a table's rules.

    Attributes:
        rules: of the table.
        book: the same, numbered.
        form: how numbers are written in columns of text.
    """

    rules: TableRules
    book: Rulebook
    form: TextFormat

    @classmethod
    def of(cls, rules: TableRules, *, form: TextFormat | None = None) -> "TableCleaner":
        """Return the cleaner of these rules."""
        return cls(rules, rulebook(rules), form or TextFormat())

    @property
    def typed(self) -> tuple[str, ...]:
        """Columns to which a rule gives a type."""
        return tuple(one.name for one in self.rules.columns if one.type)

    @property
    def referenced(self) -> tuple[str, ...]:
        """URLs of the tables that rules refer to."""
        return tuple(one.references.table for one in self.rules.columns if one.references)

    def by_row(self, rows: DataFrame, columns: Sequence[str]) -> DataFrame:
        """Apply the row rules of those columns."""
        rules = [one for one in self.rules.columns if one.name in columns]
        return settle(apply_row_rules(rows, rules, self.book, form=self.form), self.book)

    def check_columns(self, columns: Sequence[str]) -> None:
        """Raise JobRefused if a rule names no column of these, naming the nearest."""
        duplicates = self.rules.duplicates
        keys = [("duplicates", name) for name in (*duplicates.key, duplicates.by) if name] if duplicates else []
        for rule, name in [*((f"of column {one.name!r}", one.name) for one in self.rules.columns), *keys]:
            if name not in columns:
                near = difflib.get_close_matches(name, columns, n=1)
                meant = f"did you mean {near[0]!r}? " if near else ""
                raise JobRefused(f"--rules: the rules {rule} name no column; {meant}the columns are {', '.join(columns)}")

    def among_rows(self, rows: DataFrame, *, read: Read) -> DataFrame:
        """Apply the rules that need other rows: references, duplicates, unique values, in this order."""
        rows = refuse_unreferenced(rows, self.rules.columns, self.book, read=read)
        if self.rules.duplicates:
            rows = refuse_duplicates_by_key(rows, self.rules.duplicates, self.book)
        return refuse_shared_values(rows, self.rules.columns, self.book)

    @property
    def bounded(self) -> tuple[str, ...]:
        """Columns whose bounds are found on the train rows."""
        return tuple(one.name for one in self.rules.columns if one.outliers)

    def outliers(self, rows: DataFrame) -> tuple[DataFrame, Mapping[str, Bounds]]:
        """Apply the outlier rules, and return the bounds they found on the train rows that no rule refused."""
        if not self.bounded:
            return rows, {}
        bounds = outlier_bounds(rows.where(F.col("__reason").isNull() & (F.col("split") == "train")), self.rules.columns)
        return settle(apply_outliers(rows, self.rules.columns, bounds, self.book), self.book), bounds

    def words(self, bounds: Mapping[str, Bounds]) -> dict[str, str]:
        """Return what each rule says, by name, for the manifest."""
        words = {one.name: f"{one.words}; otherwise {one.severity.value}" for one in self.book.rules}
        for name, found in bounds.items():
            words[f"{name}.outliers"] += f"; found {found.least:.12g} to {found.greatest:.12g}"
        return words
