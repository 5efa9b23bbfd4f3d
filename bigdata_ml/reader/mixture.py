"""Several datasets to be read as one, each in its proportion of every batch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc

from bigdata_ml.dataset import Dataset, Vocabulary
from bigdata_ml.errors import SchemaMismatch
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.pattern import Pattern, Stop, make_pattern, whole_weights
from bigdata_ml.reader.row_filter import RowFilter
from bigdata_ml.schema import Field, NullPolicy, Schema

__all__ = ["Member", "Mixture"]


@dataclass(frozen=True, slots=True)
class Member:
    """A dataset of a mixture.

    Attributes:
        dataset: or a split of it.
        weight: its share of the rows, above 0, beside the others' weights.
        predicate: what its rows must satisfy besides `ReadOptions.predicate`.
    """

    dataset: Dataset
    weight: float
    predicate: pc.Expression | RowFilter | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"{self.dataset.url}: the weight of a mixture's member must be above 0, got {self.weight}")

    def read(self, read: ReadOptions) -> ReadOptions:
        """Return what is read of it."""
        common, own = read.predicate, self.predicate
        if common is None or own is None:
            return replace(read, predicate=own if common is None else common)
        if isinstance(common, RowFilter) or isinstance(own, RowFilter):
            raise ValueError(
                f"{self.dataset.url}: a RowFilter stands alone; give it to each member, or to ReadOptions, not to both"
            )
        return replace(read, predicate=common & own)


@dataclass(frozen=True, init=False)
class Mixture:
    """Datasets that are read as one: of any stretch of a stream each has its share of the rows, to within two.

    It stands in a dataset's place in `make_loader` and `open_reader`. Weights that are no whole numbers are rounded to
    parts of 10,000.

    Args:
        members: datasets with their weights, as pairs or `Member`s; two or more, the same one twice if wanted.
        stop: `first` ends the epoch before the first dataset runs out, so that no row comes twice; `all` when every row of every
            dataset has come, datasets that are through by then beginning again, in another order.
        source: the name of an int32 column that says which member, 0 …, a row comes from; None for none.

    Raises:
        ValueError: fewer than two members, or weights that are none.

    >>> Mixture([(web, 3), (books, 1)], stop="all")  # doctest: +SKIP
    """

    members: tuple[Member, ...]
    stop: Stop
    source: str | None

    def __init__(
        self, members: Iterable[Member | tuple[Dataset, float]], *, stop: Stop = "first", source: str | None = None
    ) -> None:
        object.__setattr__(self, "members", tuple(one if isinstance(one, Member) else Member(*one) for one in members))
        object.__setattr__(self, "stop", stop)
        object.__setattr__(self, "source", source)
        if len(self.members) < 2:
            raise ValueError(f"a mixture must have two members or more, got {len(self.members)}; pass a single dataset itself")
        if stop not in get_args(Stop):
            raise ValueError(f"stop must be one of {', '.join(get_args(Stop))}, got {stop!r}")
        whole_weights([member.weight for member in self.members])

    @property
    def url(self) -> str:
        """Where the datasets are."""
        return " + ".join(member.dataset.url for member in self.members)

    @property
    def weights(self) -> tuple[int, ...]:
        """The members' weights as whole numbers."""
        return whole_weights([member.weight for member in self.members])

    @property
    def pattern(self) -> Pattern:
        """Which member gives the row of each rank of a stream."""
        return make_pattern(self.weights)

    def schema(self, columns: Sequence[str] | None) -> Schema:
        """Return the fields that are read, those of `source` last; without `columns` all of the first dataset.

        A field that may be null in one dataset may be so in all.

        Raises:
            SchemaMismatch: a field that is another one in another dataset, or is missing there.
            ValueError: a field with the name of `source`.
        """
        first = self.members[0].dataset
        fields = [self._common(name) for name in columns or first.schema.names]
        if self.source is None:
            return Schema(tuple(fields))
        if any(field.name == self.source for field in fields):
            raise ValueError(f"{first.url} has a field {self.source!r}; give Mixture another name for source=")
        return Schema((*fields, Field(name=self.source, type=pa.int32())))

    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]:
        """Vocabularies by field."""
        return self.members[0].dataset.vocabularies

    def _common(self, name: str) -> Field:
        first, *others = (member.dataset for member in self.members)
        field = first.schema[name]
        for other in others:
            other_field = next((field_there for field_there in other.schema if field_there.name == name), None)
            if other_field is None or not _agree(field, other_field):
                difference = "is missing" if other_field is None else f"is {_told(other_field)}"
                raise SchemaMismatch(
                    f"field {name!r} is {_told(field)} in {first.url} and {difference} in {other.url}; read others by columns=, "
                    "or prepare the datasets alike"
                )
            if field.vocabulary and not _same_ids(first.vocabularies[name], other.vocabularies[name]):
                raise SchemaMismatch(
                    f"field {name!r} has other values in the vocabulary of {first.url} than in that of {other.url}, and its ids "
                    "would mean different things; prepare the datasets together, or leave the field out by columns="
                )
            field = other_field if other_field.nullable else field
        return field


def _agree(first: Field, other: Field) -> bool:
    if first.nullable and other.nullable and (first.null, first.fill) != (other.null, other.fill):
        return False
    first, other = (replace(field, null=NullPolicy.REFUSE, fill=None) for field in (first, other))
    return first == other


def _same_ids(first: Vocabulary, other: Vocabulary) -> bool:
    return (first.values, first.unknown) == (other.values, other.unknown)


def _told(field: Field) -> str:
    words = [str(field.type), field.codec.value]
    if field.vocabulary:
        words.append("with a vocabulary")
    if field.channels is not None:
        words.append(f"of {field.channels} channels")
    if field.nullable:
        words.append(f"nulls: {field.null.value}" + (f" by {field.fill!r}" if field.fill is not None else ""))
    return ", ".join(words)
