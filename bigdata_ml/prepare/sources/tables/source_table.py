"""A table read from a source: rows, omitted columns, and inferred types."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from bigdata_ml.prepare.sources.text_files.inferred_types import ColumnType
from bigdata_ml.prepare.sources.text_files.table import TextTable

__all__ = ["SourceTable"]


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table read from a source.

    Attributes:
        rows: unchanged rows of the source.
        left_out: omitted columns, with their types or the reason.
        types: inferred types of the columns of text files, with reasons.
        text: the text files, if it is a text table.
    """

    rows: DataFrame
    left_out: Mapping[str, str] = field(default_factory=dict)
    types: tuple[ColumnType, ...] = ()
    text: TextTable | None = None
