"""The checked arguments of Petastorm's reader factories, as a `Source`."""

import os
import secrets
import warnings
from collections.abc import Mapping
from operator import index
from typing import Any

from bigdata_ml.compat.petastorm.ngram import NGram
from bigdata_ml.compat.petastorm.reading.conditions import condition_of
from bigdata_ml.compat.petastorm.reading.opening import open_dataset, row_group_indexes, stored_schema
from bigdata_ml.compat.petastorm.reading.source import Source
from bigdata_ml.compat.petastorm.transform import transform_schema
from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.reader import Rank
from bigdata_ml.reader.options import Shuffle

__all__ = ["source_of"]


def source_of(url: str | list[str], given: Mapping[str, Any], *, batched: bool) -> Source:
    """Return what `make_reader` (rows) or `make_batch_reader` (batched) reads.

    Args:
        url: of the dataset, or a list of URLs of files.
        given: the arguments of `make_reader`, by name.
        batched: whether to read batches.

    Raises:
        ValueError: an argument that is not valid.
        DatasetNotFound, DatasetInvalid, StorageUnavailable: see `Dataset.open`.
    """
    _warn_unused(cache_type=given["cache_type"], shard_seed=given["shard_seed"])
    pool, workers, queue = given["reader_pool_type"], given["workers_count"], given["results_queue_size"]
    fields, transform, selector = given["schema_fields"], given["transform_spec"], given["rowgroup_selector"]
    num_epochs = given["num_epochs"]
    if pool not in ("thread", "process", "dummy"):
        raise ValueError(f"reader_pool_type must be 'thread', 'process' or 'dummy', got {pool!r}")
    if workers < 1 or queue < 1:
        raise ValueError(f"workers_count and results_queue_size must be 1 or more, got {workers} and {queue}")
    if num_epochs is not None and num_epochs < 1:
        raise ValueError(f"num_epochs must be 1 or more, or None for endless reading, got {num_epochs}")
    rank = _rank_of(given["cur_shard"], given["shard_count"])
    dataset = open_dataset(url, filesystem=given["filesystem"], storage_options=given["storage_options"])
    whole = stored_schema(dataset, rows=not batched)
    ngram = fields.resolved(whole) if isinstance(fields, NGram) else None
    if ngram is not None and batched:
        raise ValueError(
            "make_batch_reader does not support NGram; use make_reader, or ReadOptions(sequence=…) of our own loader for batches"
        )
    if ngram is not None:
        fields = ngram.get_field_names_at_all_timesteps()
    stored = whole if fields is None else _view(whole, fields, dataset.url)
    num_workers = 0 if pool == "dummy" else min(workers, os.cpu_count() or 1)
    return Source(
        dataset=dataset,
        stored=stored,
        schema=stored if transform is None else transform_schema(stored, transform),
        batched=batched,
        transform=transform,
        condition=condition_of(
            dataset,
            whole,
            predicate=given["predicate"],
            selector=selector,
            indexes=row_group_indexes(dataset) if selector is not None else {},
            filters=given["filters"],
            batched=batched,
        ),
        shuffle=_shuffle_of(
            groups=given["shuffle_row_groups"],
            rows=given["shuffle_rows"] or given["shuffle_row_drop_partitions"] > 1,
        ),
        seed=_seed_of(given["seed"], rank),
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
        raise ValueError(f"cur_shard and shard_count must be given together, got {cur_shard} and {shard_count}")
    return Rank(rank=index(cur_shard), world_size=index(shard_count))


def _seed_of(seed: int | None, rank: Rank) -> int:
    # With a seed of its own, each rank would have another order: rows would be read twice or never.
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


def _warn_unused(*, cache_type: str | None, shard_seed: int | None) -> None:
    """Warn about arguments of Petastorm that have no effect here.

    Raises:
        ValueError: a kind of cache that Petastorm does not have.
    """
    if cache_type not in (None, "null", "local-disk"):
        raise ValueError(f"cache_type must be None, 'null' or 'local-disk', got {cache_type!r}")
    if cache_type == "local-disk":
        warnings.warn("cache_type='local-disk' has no effect: rows are decoded again in each epoch", stacklevel=4)
    if shard_seed is not None:
        warnings.warn("shard_seed has no effect: seed determines the rows of a shard, which differ in each epoch", stacklevel=4)
