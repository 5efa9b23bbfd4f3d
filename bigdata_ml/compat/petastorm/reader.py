"""`make_reader` and `make_batch_reader`: Petastorm's readers, in this package's order of rows."""

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from weakref import WeakSet

from bigdata_ml.compat.petastorm.reading.arguments import source_of
from bigdata_ml.compat.petastorm.reading.mixed_source import MixedSource
from bigdata_ml.compat.petastorm.reading.passes import Passes
from bigdata_ml.compat.petastorm.reading.source import Rows, Source
from bigdata_ml.compat.petastorm.selectors import RowGroupSelectorBase
from bigdata_ml.compat.petastorm.transform import TransformSpec
from bigdata_ml.compat.petastorm.values.columns import rows_of
from bigdata_ml.errors import ResumeMismatch

__all__ = ["Reader", "make_batch_reader", "make_reader"]


class Closed(Protocol):
    """Something that is closed when a reader is stopped."""

    def close(self) -> None:
        """Close it."""


class Reader:
    """Rows, or batches of rows, of a dataset; an iterator over all epochs, and a context manager.

    It ends after `num_epochs`; `reset` restarts it at any time. Each row is returned exactly once, regardless of timing, threads
    and ranks. All `shard_count` ranks have the same number of batches; their numbers of rows differ by at most one. Errors in
    threads reach the caller.

    Attributes:
        schema: the fields of the rows or batches.
        batched_output: whether it returns batches.
        ngram: the requested `NGram`, or None.
        last_row_consumed: whether it has ended.
        stopped: whether `stop` was called.
    """

    def __init__(self, source: Source | MixedSource) -> None:
        self.source = source
        self.schema = source.schema
        self.batched_output = source.batched
        self.ngram = source.ngram
        self.last_row_consumed = False
        self.stopped = False
        self._passes = Passes(source, source.usual_batch)
        self._skip = self._row = 0
        self._before: dict[str, Any] | None = None
        self._iterate()
        self._followers: WeakSet[Closed] = WeakSet()

    def __iter__(self) -> "Reader":
        return self

    def __next__(self) -> Any:
        """Return the next row or batch: a named tuple of the schema's fields; with an `NGram`, a dict of named tuples by offset.

        Raises:
            RuntimeError: the reader was stopped.
        """
        self.check_open()
        try:
            return next(self._items)
        except StopIteration:
            self.last_row_consumed = True
            raise

    def next(self) -> Any:
        """Return the next row or batch."""
        return self.__next__()

    def __len__(self) -> int:
        """Number of rows, or batches, of this rank in all epochs.

        Raises:
            TypeError: it is endless.
        """
        epochs = self.source.num_epochs
        if epochs is None:
            raise TypeError("a reader with num_epochs=None is endless and has no length")
        return epochs * (self._passes.steps if self.batched_output else self._passes.rows)

    def reset(self) -> None:
        """Restart with the next epoch; if an epoch was left early, with that epoch."""
        self._pass.close()
        self._passes.restart()
        self._skip = self._row = 0
        self._before = None
        self._iterate()
        self.last_row_consumed = False

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values: a reader with the same arguments continues from it with the next row or batch."""
        if self._before is not None:
            return {**self._before, "row": self._row}
        return {**self._passes.state_dict(), "row": self._skip}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the position of `state`.

        Raises:
            ResumeMismatch: a state of another dataset, selection, order or kind of reader.
        """
        row = state.get("row") if isinstance(state, Mapping) else None
        if type(row) is not int or not 0 <= row < 1 << 63 or (row and self.batched_output):
            raise ResumeMismatch(f"the state has row {reprlib.repr(row)}: it was not taken from a reader with these arguments")
        self._passes.load_state_dict(state)
        self._pass.close()
        self._skip, self._row, self._before = row, 0, None
        self._iterate()
        self.last_row_consumed = False

    def check_open(self) -> None:
        """Raise RuntimeError if the reader was stopped."""
        if self.stopped:
            raise RuntimeError("the reader was stopped: its with block has ended, or stop() was called; make a new one")

    def end_with(self, follower: Closed) -> None:
        """Close `follower`, a loader's iteration, when the reader is stopped; the reader holds only a weak reference."""
        self._followers.add(follower)

    def stop(self) -> None:
        """Stop the threads, including those of loaders over this reader; nothing can be read afterwards."""
        self.stopped = True
        self._pass.close()
        for follower in list(self._followers):
            follower.close()

    def join(self) -> None:
        """Do nothing: `stop` returns after the threads have ended."""

    def cleanup_cache(self) -> None:
        """Do nothing: there is no cache."""

    @property
    def diagnostics(self) -> dict[str, Any]:
        """The position: epoch, step and steps of an epoch."""
        return {"epoch": self._passes.epoch, "step": self._passes.step, "steps": self._passes.steps}

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _iterate(self) -> None:
        """Iterate from the current position."""
        self._pass = self._passes.over(self._make)
        self._items: Iterator[Any] = self._pass if self.batched_output else self._rows_of(self._pass)

    def _rows_of(self, batches: Iterator[Any]) -> Iterator[Any]:
        before = self._passes.state_dict()
        for rows in batches:
            first, self._skip = self._skip, 0
            self._before = before
            for row, values in enumerate(rows[first:], first):
                self._row = row + 1
                yield values
            self._before, before = None, self._passes.state_dict()

    def _make(self, rows: Rows) -> Any:
        if self.batched_output:
            return self.schema.row_class(**rows.columns)
        if self.ngram is not None:
            return rows.columns["sample"]
        row_class = self.schema.row_class
        return [row_class(**row) for row in rows_of(rows.columns, rows.count)]


def make_reader(
    dataset_url: str | list[str],
    schema_fields: Any = None,
    reader_pool_type: str = "thread",
    workers_count: int = 10,
    pyarrow_serialize: bool = False,
    results_queue_size: int = 50,
    seed: int | None = None,
    shuffle_rows: bool = False,
    shuffle_row_groups: bool = True,
    shuffle_row_drop_partitions: int = 1,
    predicate: Any = None,
    rowgroup_selector: RowGroupSelectorBase | None = None,
    num_epochs: int | None = 1,
    cur_shard: int | None = None,
    shard_count: int | None = None,
    shard_seed: int | None = None,
    cache_type: str | None = "null",
    cache_location: str | None = None,
    cache_size_limit: int | None = None,
    cache_row_size_estimate: int | None = None,
    cache_extra_settings: Mapping[str, Any] | None = None,
    hdfs_driver: str = "libhdfs3",
    transform_spec: TransformSpec | None = None,
    filters: Any = None,
    storage_options: Mapping[str, Any] | None = None,
    zmq_copy_buffers: bool = True,
    filesystem: Any = None,
    convert_early_to_numpy: bool = False,
) -> Reader:
    """Return a reader of single rows, decoded by the dataset's Petastorm schema, or else by its Parquet schema.

    Args:
        dataset_url: URL of a directory, or a list of URLs of files.
        schema_fields: fields and regular expressions of names, or an `NGram`; None reads all fields.
        reader_pool_type: "thread" and "process" decode in threads, "dummy" in the calling thread.
        workers_count: decoding threads; at most the number of processors is used.
        seed: of the order, the same on every rank. None draws a random seed; with shards None is 0.
        shuffle_row_groups, shuffle_rows: whether to shuffle row groups, and the rows within each; the order differs per epoch.
        shuffle_row_drop_partitions: more than 1 shuffles the rows of each row group; each is still read once.
        predicate: selects rows.
        rowgroup_selector: selects row groups by their indexes.
        num_epochs: passes; None is endless.
        cur_shard, shard_count: the part to read; give both or neither.
        results_queue_size: maximum number of batches to read ahead.
        transform_spec: transforms each row.
        filters: as in pyarrow, on any columns, exact.
        storage_options: for fsspec's filesystem.
        filesystem: of pyarrow or fsspec.
        pyarrow_serialize, shard_seed, cache_type, cache_location, cache_size_limit, cache_row_size_estimate,
            cache_extra_settings, hdfs_driver, zmq_copy_buffers, convert_early_to_numpy: no effect here; a requested
            cache raises a warning.

    Raises:
        ValueError: fields, predicates, shards or other arguments that are not valid.
        DatasetNotFound, DatasetInvalid, StorageUnavailable: see `Dataset.open`.
    """
    return Reader(source_of(dataset_url, locals(), batched=False))


def make_batch_reader(
    dataset_url_or_urls: str | list[str],
    schema_fields: Any = None,
    reader_pool_type: str = "thread",
    workers_count: int = 10,
    results_queue_size: int = 50,
    seed: int | None = None,
    shuffle_rows: bool = False,
    shuffle_row_groups: bool = True,
    shuffle_row_drop_partitions: int = 1,
    predicate: Any = None,
    rowgroup_selector: RowGroupSelectorBase | None = None,
    num_epochs: int | None = 1,
    cur_shard: int | None = None,
    shard_count: int | None = None,
    shard_seed: int | None = None,
    cache_type: str | None = "null",
    cache_location: str | None = None,
    cache_size_limit: int | None = None,
    cache_row_size_estimate: int | None = None,
    cache_extra_settings: Mapping[str, Any] | None = None,
    hdfs_driver: str = "libhdfs3",
    transform_spec: TransformSpec | None = None,
    filters: Any = None,
    storage_options: Mapping[str, Any] | None = None,
    zmq_copy_buffers: bool = True,
    filesystem: Any = None,
    convert_early_to_numpy: bool = False,
) -> Reader:
    """Return a reader of batches of any Parquet dataset: named tuples of numpy arrays, not decoded by codecs.

    A batch has as many rows as the largest row group; the last one of an epoch has fewer. A transform gets a pandas DataFrame.
    Arguments and errors are those of `make_reader`.
    """
    return Reader(source_of(dataset_url_or_urls, locals(), batched=True))
