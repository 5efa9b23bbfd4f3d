"""The arguments of Petastorm's reader factories, checked, as what is read and in which order."""

import os
import secrets
import warnings
from collections.abc import Mapping
from operator import index
from typing import Any

from bigdata_ml.compat.petastorm.conditions import condition_of
from bigdata_ml.compat.petastorm.ngram import NGram
from bigdata_ml.compat.petastorm.opening import open_dataset, row_group_indexes, stored_schema
from bigdata_ml.compat.petastorm.selectors import RowGroupSelectorBase
from bigdata_ml.compat.petastorm.source import Source
from bigdata_ml.compat.petastorm.transform import TransformSpec, transform_schema
from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.reader import Rank
from bigdata_ml.reader.options import Shuffle

__all__ = ["source_of", "warn_unused"]


def source_of(
    url: str | list[str],
    *,
    batched: bool,
    fields: Any,
    pool: str,
    workers: int,
    queue: int,
    seed: int | None,
    rows: bool,
    groups: bool,
    predicate: Any,
    selector: RowGroupSelectorBase | None,
    num_epochs: int | None,
    shard: tuple[int | None, int | None],
    transform: TransformSpec | None,
    filters: Any,
    storage_options: Mapping[str, Any] | None,
    filesystem: Any,
) -> Source:
    """Return what `make_reader` (rows) or `make_batch_reader` (batched) reads; the arguments are theirs, by shorter names.

    Raises:
        ValueError: arguments that do not fit.
        DatasetNotFound, DatasetInvalid, StorageUnavailable: see `Dataset.open`.
    """
    if pool not in ("thread", "process", "dummy"):
        raise ValueError(f"reader_pool_type must be 'thread', 'process' or 'dummy', got {pool!r}")
    if workers < 1 or queue < 1:
        raise ValueError(f"workers_count and results_queue_size must be 1 or more, got {workers} and {queue}")
    if num_epochs is not None and num_epochs < 1:
        raise ValueError(f"num_epochs must be 1 or more, or None for no end, got {num_epochs}")
    rank = _rank_of(*shard)
    dataset = open_dataset(url, filesystem=filesystem, storage_options=storage_options)
    whole = stored_schema(dataset, rows=not batched)
    ngram = fields.resolved(whole) if isinstance(fields, NGram) else None
    if ngram is not None and batched:
        raise ValueError(
            "make_batch_reader has no NGram: make_reader has, and ReadOptions(sequence=…) of our own loader gives batches"
        )
    if ngram is not None:
        fields = ngram.get_field_names_at_all_timesteps()
    stored = whole if fields is None else _view(whole, fields, dataset.url)
    indexes = row_group_indexes(dataset) if selector is not None else {}
    num_workers = 0 if pool == "dummy" else min(workers, os.cpu_count() or 1)
    return Source(
        dataset=dataset,
        stored=stored,
        schema=stored if transform is None else transform_schema(stored, transform),
        batched=batched,
        transform=transform,
        condition=condition_of(
            dataset, whole, predicate=predicate, selector=selector, indexes=indexes, filters=filters, batched=batched
        ),
        shuffle=_shuffle_of(groups=groups, rows=rows),
        seed=_seed_of(seed, rank),
        rank=rank,
        num_epochs=num_epochs,
        num_workers=num_workers,
        prefetch=min(queue, max(2, num_workers)),
        ngram=ngram,
    )


def _rank_of(cur_shard: int | None, shard_count: int | None) -> Rank:
    if cur_shard is None and shard_count is None:
        return Rank(rank=0, world_size=1)
    if cur_shard is None or shard_count is None:
        raise ValueError(f"cur_shard and shard_count go together, got {cur_shard} and {shard_count}")
    return Rank(rank=index(cur_shard), world_size=index(shard_count))


def _seed_of(seed: int | None, rank: Rank) -> int:
    # Ranks that drew seeds of their own would read other orders: rows twice, and never.
    if seed is None:
        return secrets.randbelow(2**63) if rank.world_size == 1 else 0
    return index(seed) % 2**63


def _shuffle_of(*, groups: bool, rows: bool) -> Shuffle:
    if groups:
        return True if rows else "groups"
    return "rows" if rows else False


def _view(schema: Unischema, fields: Any, url: str) -> Unischema:
    if not isinstance(fields, (list, tuple, set)):
        raise ValueError(f"schema_fields must be a list of fields and regular expressions, got {type(fields).__name__}")
    view = schema.create_schema_view(list(fields))
    if not view.fields:
        raise ValueError(f"{url}: schema_fields match no field; the dataset has {', '.join(schema.fields)}")
    return view


def warn_unused(*, cache_type: str | None, shard_seed: int | None) -> None:
    """Say which of Petastorm's arguments were given and mean nothing here.

    Raises:
        ValueError: a kind of cache that Petastorm has not either.
    """
    if cache_type not in (None, "null", "local-disk"):
        raise ValueError(f"cache_type must be None, 'null' or 'local-disk', got {cache_type!r}")
    if cache_type == "local-disk":
        warnings.warn("cache_type='local-disk' is not used: rows are decoded anew each epoch", stacklevel=3)
    if shard_seed is not None:
        warnings.warn("shard_seed is not used: seed decides which rows a shard has, and others each epoch", stacklevel=3)
