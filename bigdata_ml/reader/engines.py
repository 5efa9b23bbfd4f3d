"""Which engine reads: the native one, or Petastorm's, whose modules are imported only on request."""

import os
from importlib.util import find_spec

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import EngineUnavailable
from bigdata_ml.reader.assemble.assembler import Assembler, Unreadable
from bigdata_ml.reader.assemble.batch_assembler import BatchAssembler
from bigdata_ml.reader.assemble.slice_assembler import SliceAssembler, is_straight
from bigdata_ml.reader.cursor import MEMORY_BUDGET, Cursor
from bigdata_ml.reader.fetch.source import LocatedSource
from bigdata_ml.reader.mixture import Mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.plan import EpochPlan, Plan
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.rank import Rank

__all__ = ["check_engine", "cursor_of", "make_assembler"]

# Folders that Petastorm's engine needs, in order of depth.
_PETASTORM = ("petastorm_bridge", "dataset.petastorm", "reader.petastorm")
# Bytes of row groups to read ahead; at least one row group is read ahead.
_AHEAD = 256 << 20


def check_engine(dataset: Dataset | Mixture, read: ReadOptions) -> None:
    """Check that the engine is installed and can read the rows and all fields.

    Raises:
        EngineUnavailable: it is not installed, or has no type for a field.
        ValueError: a mixture or sequences, which Petastorm's engine does not support.
    """
    if read.engine == "arrow":
        return
    if isinstance(dataset, Mixture) or read.sequence is not None:
        kind = "a mixture" if isinstance(dataset, Mixture) else "sequences"
        raise ValueError(f"engine='petastorm' reads single rows of one dataset, not {kind}; use engine='arrow'")
    if any(find_spec(f"bigdata_ml.{folder}") is None for folder in _PETASTORM):
        raise EngineUnavailable("engine='petastorm' is not part of this installation; use engine='arrow'")
    from bigdata_ml.reader.petastorm.opening import petastorm_fields

    petastorm_fields(dataset, read)
    try:
        import bigdata_ml.reader.petastorm.engine  # noqa: F401
    except ImportError as error:
        raise EngineUnavailable(
            f"engine='petastorm' cannot be loaded: {error}; install the extra 'petastorm' of bigdata_ml "
            "(pip install 'bigdata_ml[petastorm]'), or use engine='arrow'"
        ) from error


def cursor_of(
    dataset: Dataset | Mixture,
    read: ReadOptions,
    rank: Rank,
    global_batch_size: int,
    *,
    threads: int = 0,
    memory_budget: int = MEMORY_BUDGET,
    selection_cache: str | os.PathLike[str] | None = None,
) -> Cursor:
    """Return the engine's cursor at the start of the first epoch; arguments and errors are those of `Cursor`.

    Args:
        threads: of Petastorm's engine; 0 reads in the calling thread.
    """
    if read.engine == "arrow":
        return Cursor(dataset, read, rank, global_batch_size, memory_budget=memory_budget, selection_cache=selection_cache)
    from bigdata_ml.reader.petastorm.cursor import PetastormCursor

    return PetastormCursor(
        *(dataset, read, rank, global_batch_size), threads=threads, memory_budget=memory_budget, selection_cache=selection_cache
    )


def make_assembler(
    cursor: Cursor, plan: Plan, share: Share, source: LocatedSource, *, on_unreadable: Unreadable | None, threads: int
) -> Assembler:
    """Return what makes the batches of an iteration.

    The native engine reads row groups ahead in `threads` threads, fewer if the groups are large. For local files it uses one
    thread less, because the thread that assembles the rows needs a processor; on a store, threads mostly wait.
    """
    if cursor.read.engine == "petastorm":
        from bigdata_ml.reader.petastorm.opening import shard_assembler_of

        return shard_assembler_of(cursor, plan, source, on_unreadable=on_unreadable)
    reading = max(1, threads - 1) if threads and cursor.contents.is_local else threads
    ahead = min(reading, max(1, _AHEAD // cursor.contents.group_bytes))
    sequence = cursor.read.sequence.length if cursor.read.sequence else None
    if on_unreadable is None and sequence is None and isinstance(plan, EpochPlan) and is_straight(plan, share):
        return SliceAssembler(plan, share, source, ahead=ahead)
    return BatchAssembler(plan, share, source, on_unreadable=on_unreadable, sequence=sequence, ahead=ahead)
