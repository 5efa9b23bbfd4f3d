"""`NGram`: samples of several rows that follow one another by a timestamp, over the borders of row groups and files too."""

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

from bigdata_ml.compat.petastorm.unischema import Unischema, UnischemaField, match_unischema_fields

__all__ = ["NGram"]

FieldOrPattern = UnischemaField | str


class NGram:
    """What a sample is: which fields at which offset, and how far apart neighbours may be.

    Args:
        fields: by offset, a whole number, the fields, or regular expressions of names, that are read there. Offsets in between
            that are left out have no fields.
        delta_threshold: the largest difference of the timestamp between neighbours.
        timestamp_field: the field, or a regular expression of its name, by which the dataset is sorted: within each row group at
            least. Where it falls from one row group to the next, no sample goes over that border.
        timestamp_overlap: whether samples may share rows; without it each begins above the end of the one before.

    Raises:
        ValueError: arguments of another kind.
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
            if not isinstance(named, (list, tuple)) or not all(isinstance(one, (tuple, str)) for one in named):
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
        """Return it with the schema's own fields in place of regular expressions.

        Raises:
            ValueError: fields that are not in the schema, or a timestamp that is not exactly one of them.
        """
        stamps = _resolved(schema, [self._timestamp_field])
        if len(stamps) != 1:
            raise ValueError(f"NGram: timestamp_field must be one field, {self._timestamp_field!r} are {len(stamps)}")
        fields = {offset: _resolved(schema, named) for offset, named in self._fields.items()}
        return NGram(fields, self._delta_threshold, stamps[0], self.timestamp_overlap)

    @property
    def timestamp_name(self) -> str:
        """Name of the timestamp's field, of a resolved one."""
        return self._timestamp_field if isinstance(self._timestamp_field, str) else self._timestamp_field.name

    def get_field_names_at_timestep(self, timestep: int) -> list[str]:
        """Return the names of the fields at an offset, of a resolved one; none where there is no such offset."""
        return [one if isinstance(one, str) else one.name for one in self._fields.get(timestep, [])]

    def get_field_names_at_all_timesteps(self) -> list[Any]:
        """Return the fields that are read at any offset, each once."""
        return list(dict.fromkeys(one for named in self._fields.values() for one in named))

    def get_schema_at_timestep(self, schema: Unischema, timestep: int) -> Unischema:
        """Return the fields of a schema that are read at an offset, in the schema's order."""
        wanted = set(self.get_field_names_at_timestep(timestep))
        return Unischema(f"{schema._name}_view", [field for name, field in schema.fields.items() if name in wanted])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NGram):
            return NotImplemented
        mine, theirs = ({at: set(named) for at, named in one.fields.items()} for one in (self, other))
        return mine == theirs

    def __hash__(self) -> int:
        return hash(frozenset((offset, frozenset(named)) for offset, named in self._fields.items()))


def _resolved(schema: Unischema, named: Sequence[FieldOrPattern]) -> list[UnischemaField]:
    fields = [schema.fields[one.name] for one in named if not isinstance(one, str) and one.name in schema.fields]
    unknown = [one.name for one in named if not isinstance(one, str) and one.name not in schema.fields]
    if unknown:
        raise ValueError(f"NGram: the schema has no fields {', '.join(unknown)}; it has {', '.join(schema.fields)}")
    return list(dict.fromkeys(fields + match_unischema_fields(schema, [one for one in named if isinstance(one, str)])))
