"""Where row groups come from: one dataset, spans of its row groups, or several datasets."""

from typing import Protocol

import pyarrow as pa

__all__ = ["LocatedSource", "Source"]


class Source(Protocol):
    """Where row groups are read from."""

    @property
    def schema(self) -> pa.Schema:
        """Of what is read."""

    def read(self, group: int) -> dict[str, pa.Array]:
        """Return the columns of a row group, each one array."""


class LocatedSource(Source, Protocol):
    """A source that can say where a row lies, and which rows hold values that do not fit their fields' types."""

    def place(self, group: int, row: int) -> str:
        """Return where a row lies, for messages: file, row group, row."""

    @property
    def has_bad_values(self) -> bool:
        """Whether any row that was read does."""

    def bad_value(self, group: int, row: int) -> str | None:
        """Return why a row that was read does, naming it, or None."""
