"""A table as it was read: its rows, and what was left out before."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

__all__ = ["SourceTable"]


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table's rows.

    Attributes:
        rows: as they were read.
        left_out: columns that were not read, with their types or why.
    """

    rows: DataFrame
    left_out: Mapping[str, str] = field(default_factory=dict)
