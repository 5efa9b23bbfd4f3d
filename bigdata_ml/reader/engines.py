"""Which engine reads: the native one, or Petastorm's, whose modules are loaded only where it is asked for."""

from dataclasses import replace

import pyarrow as pa

from bigdata_ml.dataset import Dataset, PetastormField
from bigdata_ml.dataset.petastorm.fields import fields_to_petastorm
from bigdata_ml.errors import EngineUnavailable
from bigdata_ml.reader.assemble.gather import Gatherer, Unreadable
from bigdata_ml.reader.assemble.straight import StraightGatherer, is_straight
from bigdata_ml.reader.cursor import Cursor
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.reader.fetch.source import LocatedSource
from bigdata_ml.reader.mixture import Mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.plan import EpochPlan, Plan
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.petastorm.cursor import ShardContents
from bigdata_ml.reader.petastorm.gather import Groups, ShardGatherer
from bigdata_ml.reader.petastorm.shards import ShardPlan
from bigdata_ml.schema import Codec, Field, Schema

__all__ = ["check_engine", "gatherer_of"]

# Bytes of row groups that are read ahead; one is in any case.
_AHEAD = 256 << 20


def check_engine(dataset: Dataset | Mixture, read: ReadOptions) -> None:
    """Raise unless the engine is installed, can read what is asked for and has a type for each field.

    Raises:
        EngineUnavailable: it is not installed, or has no type for a field.
        ValueError: a mixture or sequences, which Petastorm's engine has not.
    """
    if read.engine == "arrow":
        return
    if isinstance(dataset, Mixture) or read.sequence is not None:
        what = "several datasets mixed" if isinstance(dataset, Mixture) else "sequences of rows"
        raise ValueError(f"engine='petastorm' reads rows of one dataset, not {what}; take engine='arrow'")
    _petastorm_fields(dataset, read)
    try:
        import bigdata_ml.reader.petastorm.engine  # noqa: F401
    except ImportError as error:
        raise EngineUnavailable(
            f"engine='petastorm' cannot be loaded: {error}; install the extra 'petastorm' of bigdata_ml "
            "(pip install 'bigdata_ml[petastorm]'), or take engine='arrow'"
        ) from error


def gatherer_of(
    cursor: Cursor, plan: Plan, share: Share, source: LocatedSource, *, on_unreadable: Unreadable | None, threads: int
) -> Gatherer | StraightGatherer | ShardGatherer:
    """Return what makes the batches of a begun iteration.

    The native engine has row groups read ahead by that many threads, fewer of large ones. On this machine one thread fewer reads,
    for the one that brings the rows together works as much; on a store they wait.
    """
    if isinstance(plan, ShardPlan) and isinstance(cursor.contents, ShardContents):
        return _by_petastorm(cursor.contents, cursor.read, plan, cursor.rank.rank, source, on_unreadable=on_unreadable)
    reading = max(1, threads - 1) if threads and cursor.contents.is_local else threads
    ahead = min(reading, max(1, _AHEAD // cursor.contents.group_bytes))
    sequence = cursor.read.sequence.length if cursor.read.sequence else None
    if on_unreadable is None and sequence is None and isinstance(plan, EpochPlan) and is_straight(plan, share):
        return StraightGatherer(plan, share, source, ahead=ahead)
    return Gatherer(plan, share, source, on_unreadable=on_unreadable, sequence=sequence, ahead=ahead)


def _by_petastorm(
    contents: ShardContents,
    read: ReadOptions,
    plan: ShardPlan,
    rank: int,
    source: LocatedSource,
    *,
    on_unreadable: Unreadable | None,
) -> ShardGatherer:
    if not isinstance(source, GroupSource):
        raise TypeError(f"Petastorm's engine reads row groups of one dataset, got {type(source).__name__}")
    dataset = contents.part.dataset
    fields = _petastorm_fields(dataset, read)

    def open_groups() -> Groups:
        from bigdata_ml.reader.petastorm.engine import PetastormGroups

        return PetastormGroups(dataset, plan, rank, fields, source=source, threads=contents.threads)

    return ShardGatherer(plan, rank, source, open_groups, on_unreadable=on_unreadable)


def _petastorm_fields(dataset: Dataset, read: ReadOptions) -> tuple[PetastormField, ...]:
    """Return the stored columns that are read, as Petastorm sees them: its codecs are left out, for columns go on as they lie."""
    keys = {name for values in (dataset.partitions or {}).values() for name in values}
    names = [name for name in read.columns or dataset.schema.names if name not in keys]
    # A table of keys alone has rows too: Petastorm wants a column to count them by.
    stored = dataset.schema.select(names or [name for name in dataset.schema.names if name not in keys][:1])
    fields, left_out = fields_to_petastorm(Schema(tuple(map(_with_values_it_knows, stored))), with_split=False)
    if left_out:
        raise EngineUnavailable(
            f"{dataset.url}: Petastorm has no type for the fields {', '.join(left_out)}; leave them out by columns=, or take "
            "engine='arrow'"
        )
    return tuple(replace(field, codec=None) for field in fields)


def _with_values_it_knows(field: Field) -> Field:
    """Return a list of text as one of numbers: Petastorm's metadata have no word for it, while its worker reads both alike."""
    values = field.type.value_type if field.codec is Codec.LIST else None
    if values is None or not (pa.types.is_string(values) or pa.types.is_binary(values)):
        return field
    return Field(name=field.name, type=pa.list_(pa.uint8()), codec=Codec.LIST, null=field.null)
