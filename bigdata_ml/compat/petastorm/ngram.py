"""`NGram`: samples of consecutive rows, ordered by a timestamp, also across row groups and files."""

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

from bigdata_ml.compat.petastorm.unischema import Unischema, UnischemaField, match_unischema_fields

__all__ = ["NGram"]

FieldOrPattern = UnischemaField | str


class NGram:
    """A sample of several rows: its fields at each offset, and the largest gap between neighbours.

    Args:
        fields: by offset (an integer), the fields to read there, or regular expressions of their names. Missing offsets in
            between have no fields.
        delta_threshold: the largest difference of the timestamp between neighbours.
        timestamp_field: the field, or a regular expression of its name, that sorts at least each row group. If it decreases
            from one row group to the next, no sample crosses that border.
        timestamp_overlap: whether samples may share rows; if not, each starts after the end of the previous one.

    Raises:
        ValueError: an argument of the wrong type.
    """

    def __init__(
        self,
        fields: Mapping[int, Sequence[FieldOrPattern]],
        delta_threshold: float,
        timestamp_field: FieldOrPattern,
        timestamp_overlap: bool = True,
    ) -> None:
        if not isinstance(fields, Mapping) or not fields:
            raise ValueError(f"NGram: fields must be a dict of lists by offset, got {type(fields).__name__}")
        for offset, named in fields.items():
            if not isinstance(named, (list, tuple)) or not all(isinstance(field, (tuple, str)) for field in named):
                raise ValueError(
                    f"NGram: the fields at offset {offset} must be a list of UnischemaFields and regular expressions"
                )
        if not isinstance(delta_threshold, Number):
            raise ValueError(f"NGram: delta_threshold must be a number, got {type(delta_threshold).__name__}")
        if not isinstance(timestamp_field, (tuple, str)):
            raise ValueError("NGram: timestamp_field must be a UnischemaField or a regular expression")
        if not isinstance(timestamp_overlap, bool):
            raise ValueError(f"NGram: timestamp_overlap must be True or False, got {timestamp_overlap!r}")
        self._fields = {offset: list(named) for offset, named in fields.items()}
        self._delta_threshold = delta_threshold
        self._timestamp_field = timestamp_field
        self.timestamp_overlap = timestamp_overlap

    @property
    def length(self) -> int:
        """Rows of a sample."""
        return max(self._fields) - min(self._fields) + 1

    @property
    def first(self) -> int:
        """The lowest offset."""
        return min(self._fields)

    @property
    def fields(self) -> dict[int, list[Any]]:
        """The fields by offset."""
        return self._fields

    @property
    def delta_threshold(self) -> float:
        """The largest difference of the timestamp between neighbours."""
        return self._delta_threshold

    def resolved(self, schema: Unischema) -> "NGram":
        """Return this `NGram` with the schema's fields in place of regular expressions.

        Raises:
            ValueError: a field is not in the schema, or the timestamp does not match exactly one field.
        """
        stamps = _resolved(schema, [self._timestamp_field])
        if len(stamps) != 1:
            raise ValueError(f"NGram: timestamp_field must match one field, {self._timestamp_field!r} matches {len(stamps)}")
        fields = {offset: _resolved(schema, named) for offset, named in self._fields.items()}
        return NGram(fields, self._delta_threshold, stamps[0], self.timestamp_overlap)

    @property
    def timestamp_name(self) -> str:
        """Name of the timestamp field of a resolved `NGram`."""
        return self._timestamp_field if isinstance(self._timestamp_field, str) else self._timestamp_field.name

    def get_field_names_at_timestep(self, timestep: int) -> list[str]:
        """Return the names of the fields at an offset of a resolved `NGram`; empty if there is no such offset."""
        return [field if isinstance(field, str) else field.name for field in self._fields.get(timestep, [])]

    def get_field_names_at_all_timesteps(self) -> list[Any]:
        """Return the fields that are read at any offset, each once."""
        return list(dict.fromkeys(field for named in self._fields.values() for field in named))

    def get_schema_at_timestep(self, schema: Unischema, timestep: int) -> Unischema:
        """Return the fields of a schema that are read at an offset, in the schema's order."""
        wanted = set(self.get_field_names_at_timestep(timestep))
        return Unischema(f"{schema._name}_view", [field for name, field in schema.fields.items() if name in wanted])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NGram):
            return NotImplemented
        return self._names_by_offset() == other._names_by_offset()

    def __hash__(self) -> int:
        return hash(frozenset(self._names_by_offset().items()))

    def _names_by_offset(self) -> dict[int, frozenset[Any]]:
        return {offset: frozenset(named) for offset, named in self._fields.items()}


def _resolved(schema: Unischema, named: Sequence[FieldOrPattern]) -> list[UnischemaField]:
    fields = [schema.fields[field.name] for field in named if not isinstance(field, str) and field.name in schema.fields]
    unknown = [field.name for field in named if not isinstance(field, str) and field.name not in schema.fields]
    if unknown:
        raise ValueError(f"NGram: the schema lacks the fields {', '.join(unknown)}; it has {', '.join(schema.fields)}")
    return list(
        dict.fromkeys(fields + match_unischema_fields(schema, [pattern for pattern in named if isinstance(pattern, str)]))
    )
