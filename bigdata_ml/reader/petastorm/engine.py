"""Petastorm's engine: unmodified Petastorm's reader, threads and worker read row groups, run by the bridge."""

import bigdata_ml.petastorm_bridge  # noqa: F401 - Petastorm loads only after it

# isort: split
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.reader import Reader
from petastorm.selectors import RowGroupSelectorBase
from petastorm.workers_pool import EmptyResultError
from petastorm.workers_pool.dummy_pool import DummyPool
from petastorm.workers_pool.thread_pool import ThreadPool

from bigdata_ml.dataset import Dataset, PetastormField
from bigdata_ml.errors import DatasetInvalid, StorageUnavailable
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.reader.petastorm.files import PetastormFiles
from bigdata_ml.reader.petastorm.shards import ShardPlan
from bigdata_ml.storage import Retry

__all__ = ["PetastormGroups"]


class PetastormGroups(Iterator["tuple[int, pa.Table | DatasetInvalid]"]):
    """A rank's row groups of one epoch, in the order in which Petastorm reads them: index in the dataset, and table or error.

    Petastorm's row groups are counted: a missing one is an error, not a shorter epoch. `close` stops the threads.

    Args:
        dataset: the dataset to read.
        plan: each rank's row groups, and the seed of their order.
        rank: of this process.
        fields: the columns to read, as Petastorm's fields.
        source: names row groups in errors.
        threads: of Petastorm; 0 reads in the calling thread.
    """

    def __init__(
        self,
        dataset: Dataset,
        plan: ShardPlan,
        rank: int,
        fields: tuple[PetastormField, ...],
        *,
        source: GroupSource,
        threads: int,
    ) -> None:
        self._source = source
        files = PetastormFiles(dataset, fields)
        self._due = {files.pieces[group]: group for group in plan.shards[rank].tolist()}
        self._wanted = len(self._due)
        self._pool = _StoppedByFlag(threads) if threads else DummyPool()
        self._reader = Reader(
            files,
            files.root,
            worker_class=_Worker,
            reader_pool=self._pool,
            seed=plan.group_seed,
            shuffle_row_groups=plan.settings.shuffles_groups,
            rowgroup_selector=_PieceSelector(self._due),
            num_epochs=1,
            is_batched_reader=True,
        )

    def __next__(self) -> "tuple[int, pa.Table | DatasetInvalid]":
        try:
            result: _Result = next(self._reader)
        except StopIteration:
            if self._due:
                raise self._miscounted("ended") from None
            raise
        if result.piece not in self._due:
            raise self._miscounted("returned one of them twice")
        group = self._due.pop(result.piece)
        if isinstance(result.outcome, pa.Table):
            return group, result.outcome
        if isinstance(result.outcome, DatasetInvalid):
            return group, result.outcome
        error = self._source.unreadable(group, result.outcome)
        error.__cause__ = result.outcome
        if isinstance(error, StorageUnavailable):
            raise error
        return group, error

    def _miscounted(self, event: str) -> DatasetInvalid:
        read = self._wanted - len(self._due)
        return DatasetInvalid(
            f"{self._source.url}: Petastorm returned {read} of {self._wanted} row groups and {event}: rows are missing or "
            "duplicated; use engine='arrow'"
        )

    def stop(self) -> None:
        """Tell Petastorm's threads to end, without waiting for them or for a lock."""
        if isinstance(self._pool, _StoppedByFlag):
            self._pool.ask_to_stop()

    def close(self) -> None:
        """Stop Petastorm's threads; nothing can be read afterwards."""
        self._reader.stop()
        self._reader.join()


class _Flag:
    """The part of a `threading.Event` that Petastorm's threads use; setting it takes no lock."""

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def set(self) -> None:
        """Set it."""
        self._is_set = True


class _StoppedByFlag(ThreadPool):  # type: ignore[misc] # Petastorm has no types
    """Petastorm's threads, which a finaliser can stop: Petastorm's own `stop` waits for a thread."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self._stop_event = _Flag()

    def ask_to_stop(self) -> None:
        """Tell the threads to end; a caller waiting for a result gets none."""
        self._stop_event.set()
        if self._ventilator is not None:
            self._ventilator._stop_requested = True

    def all_workers_done(self) -> bool:
        """Whether no result follows."""
        return self._stop_event.is_set() or bool(super().all_workers_done())


class _Result(NamedTuple):
    """The result of reading a row group: Petastorm's number of it, and the table or the error."""

    piece: int
    outcome: Any


class _Worker(ArrowReaderWorker):  # type: ignore[misc] # Petastorm has no types
    """Petastorm's worker for columns, with Arrow tables as results, labelled with their row group.

    It skips Petastorm's last step, the conversion to numpy. That turns null text into the word "None", turns integers with nulls
    into floats, and fails on lists of different lengths.
    """

    def __init__(self, worker_id: int, publish: Any, args: Any) -> None:
        super().__init__(worker_id, publish, args)
        self._piece = -1

    def process(self, piece_index: int, *args: Any, **options: Any) -> None:
        """Read one row group; an error of its file or bytes is also a result, so that the others can still be read."""
        self._piece, process = piece_index, super().process
        try:
            Retry().reading(lambda: process(piece_index, *args, **options), "the store")
        except (pa.ArrowException, OSError, DatasetInvalid, StorageUnavailable) as error:
            self.publish_func(_Result(piece_index, error))

    def _load_rows(self, *args: Any) -> _Result:
        return _Result(self._piece, super()._load_rows(*args))

    @staticmethod
    def new_results_queue_reader() -> "_Results":
        """Return the reader of results."""
        return _Results()


class _Results:
    """Returns results unchanged."""

    batched_output = True

    def read_next(self, workers_pool: Any, *_: Any) -> _Result:
        """Return the next result; raise StopIteration after the last."""
        try:
            result: _Result = workers_pool.get_results()
        except EmptyResultError:
            raise StopIteration from None
        return result


class _PieceSelector(RowGroupSelectorBase):  # type: ignore[misc]
    """Selects row groups by Petastorm's numbers of them."""

    def __init__(self, pieces: Iterable[int]) -> None:
        self._pieces = frozenset(pieces)

    def get_index_names(self) -> list[str]:
        """Return the names of the needed indexes: none."""
        return []

    def select_row_groups(self, _: Any) -> frozenset[int]:
        """Return the numbers."""
        return self._pieces
