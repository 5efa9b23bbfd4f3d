"""Opens a rank's row groups by Petastorm's engine, and checks that it can read the columns."""

from dataclasses import replace

import pyarrow as pa

from bigdata_ml.dataset import Dataset, PetastormField
from bigdata_ml.dataset.petastorm.fields import fields_to_petastorm
from bigdata_ml.errors import EngineUnavailable
from bigdata_ml.reader.assemble.assembler import Unreadable
from bigdata_ml.reader.cursor import Cursor
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.reader.fetch.source import LocatedSource
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.plan import Plan
from bigdata_ml.reader.petastorm.cursor import ShardContents
from bigdata_ml.reader.petastorm.shard_assembler import Groups, ShardAssembler
from bigdata_ml.reader.petastorm.shards import ShardPlan
from bigdata_ml.schema import Codec, Field, Schema

__all__ = ["petastorm_fields", "shard_assembler_of"]


def shard_assembler_of(cursor: Cursor, plan: Plan, source: LocatedSource, *, on_unreadable: Unreadable | None) -> ShardAssembler:
    """Return what makes the batches of a rank's row groups.

    Raises:
        TypeError: a cursor, plan or source of the native engine.
    """
    contents, rank = cursor.contents, cursor.rank.rank
    if not (isinstance(contents, ShardContents) and isinstance(plan, ShardPlan) and isinstance(source, GroupSource)):
        raise TypeError(f"Petastorm's engine reads row groups of one dataset, got {type(source).__name__}")
    dataset = contents.part.dataset
    fields = petastorm_fields(dataset, cursor.read)

    def open_groups() -> Groups:
        from bigdata_ml.reader.petastorm.engine import PetastormGroups

        return PetastormGroups(dataset, plan, rank, fields, source=source, threads=contents.threads)

    return ShardAssembler(plan, rank, source, open_groups, on_unreadable=on_unreadable)


def petastorm_fields(dataset: Dataset, read: ReadOptions) -> tuple[PetastormField, ...]:
    """Return the stored columns to read as Petastorm's fields, without codecs: the values are decoded later.

    Raises:
        EngineUnavailable: Petastorm has no type for a field.
    """
    keys = {name for values in (dataset.partitions or {}).values() for name in values}
    names = [name for name in read.columns or dataset.schema.names if name not in keys]
    # If only keys are read, Petastorm still needs one column to count the rows.
    stored = dataset.schema.select(names or [name for name in dataset.schema.names if name not in keys][:1])
    fields, unsupported = fields_to_petastorm(Schema(tuple(map(_with_known_values, stored))), with_split=False)
    if unsupported:
        raise EngineUnavailable(
            f"{dataset.url}: Petastorm has no type for the fields {', '.join(unsupported)}; exclude them by columns=, or use "
            "engine='arrow'"
        )
    return tuple(replace(field, codec=None) for field in fields)


def _with_known_values(field: Field) -> Field:
    """Return a list of text as a list of numbers: Petastorm's metadata cannot express it, but its worker reads both alike."""
    values = field.type.value_type if field.codec is Codec.LIST else None
    if values is None or not (pa.types.is_string(values) or pa.types.is_binary(values)):
        return field
    return Field(name=field.name, type=pa.list_(pa.uint8()), codec=Codec.LIST, null=field.null)
