"""Profiles a table: values and suspicions of each column, and suggested rules."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.failures import refused_by_spark
from bigdata_ml.prepare.sources.any_source import is_file_source, source_table
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.tables.profile.suggestions import ColumnProfile, suggested_yaml
from bigdata_ml.prepare.tables.profile.value_forms import ColumnForms, forms_of

__all__ = ["TableProfile", "profile_table"]

_REPORT = "place int, forms string"
_NESTED = ("array", "struct", "map", "binary", "variant")


@dataclass(frozen=True, slots=True)
class TableProfile:
    """The profile of a table.

    Attributes:
        source: its URL.
        rows: their number.
        columns: the profiles of the columns, in order.
        refused: the number of malformed rows of text files, and a description of the first.
    """

    source: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    refused: tuple[int, str] = (0, "")

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON values."""
        count, first = self.refused
        columns = [column.to_json() for column in self.columns]
        return {"source": self.source, "rows": self.rows, "refused": count, "first_refused": first, "columns": columns}

    def rules(self) -> str:
        """Return rules as YAML that all rows satisfy; review them, because the data may contain errors."""
        return suggested_yaml(self.source, self.rows, self.columns)


def profile_table(spark: SparkSession, source: str, *, null_value: str = "", form: TextFormat | None = None) -> TableProfile:
    """Profile a table in one pass over its values; CSV and JSON need another pass for the types.

    Args:
        spark: the session, with Hive's catalogue for Hive tables.
        source: as for `any_table`; the profile omits a database's user and password.
        null_value: the text that means null in CSV.
        form: how CSV and JSON files are written.

    Raises:
        JobRefused: the source cannot be read.
    """
    with refused_by_spark(source):
        form = form or TextFormat()
        form = replace(form, null_value=null_value or form.null_value)
        # Columns that a job cannot read are logged, and the others are profiled.
        table = source_table(spark, source, form=form, torn_column="__torn", lenient=True)
        kinds = {field.name: field.dataType.simpleString() for field in table.rows.schema if field.name != "__torn"}
        flat = [name for name, kind in kinds.items() if not kind.startswith(_NESTED)]
        if table.text is not None:
            rows = table.text.read(as_text=flat, torn_column="__torn")
        else:
            rows = source_table(spark, source, form=form, as_text=flat, torn_column="__torn", lenient=True).rows
        forms = _forms_by_column(rows.where("__torn is null"), flat)
        count = next(iter(forms.values())).rows if forms else rows.count()
    why = {column.name: column.why for column in table.types}
    columns = tuple(ColumnProfile(name, kind, forms.get(name), why.get(name, "")) for name, kind in kinds.items())
    refused = (0, "") if table.text is None else (table.text.torn, table.text.first_torn)
    return TableProfile(source if is_file_source(source) else source.partition("?")[0], count, columns, refused)


def _forms_by_column(rows: DataFrame, columns: list[str]) -> Mapping[str, ColumnForms]:
    if not columns:
        return {}
    texts = rows.select(*(named(name).cast("string").alias(str(place)) for place, name in enumerate(columns)))
    forms = {name: ColumnForms() for name in columns}
    for row in texts.mapInArrow(_forms_of_batches, _REPORT).collect():
        name = columns[row["place"]]
        forms[name] = forms[name].merge(ColumnForms.from_json(json.loads(row["forms"])))
    return forms


def _forms_of_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    forms: dict[int, ColumnForms] = {}
    for batch in batches:
        for place, column in enumerate(batch.columns):
            forms[place] = forms.get(place, ColumnForms()).merge(forms_of(column))
    for place, merged in forms.items():
        text = json.dumps(merged.to_json())
        yield pa.RecordBatch.from_arrays([pa.array([place], pa.int32()), pa.array([text])], ["place", "forms"])
