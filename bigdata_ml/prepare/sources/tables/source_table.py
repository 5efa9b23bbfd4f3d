"""A table as it was read: its rows, what was left out before, and what was found out about text files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from bigdata_ml.prepare.sources.text_files.inferred_types import ColumnType
from bigdata_ml.prepare.sources.text_files.table import TextTable

__all__ = ["SourceTable"]


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table's rows.

    Attributes:
        rows: as they were read.
        left_out: columns that were not read, with their types or why.
        types: the types that were chosen for the columns of text files, and why.
        text: the text files, looked at.
    """

    rows: DataFrame
    left_out: Mapping[str, str] = field(default_factory=dict)
    types: tuple[ColumnType, ...] = ()
    text: TextTable | None = None
