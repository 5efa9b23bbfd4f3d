"""Contracts that everything which reads rows must keep, whatever its options."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa
from thoroughness import THOROUGH

__all__ = ["assert_reads_each_row_once", "assert_resumes_elsewhere", "assert_resumes_exactly", "content_of", "ids_of", "joined"]


def assert_resumes_exactly(make_loader: Callable[[], Any], *, epochs: int = 2) -> None:
    """Stop after any batch, of any epoch, and before the first: a fresh loader goes on with exactly what was left.

    From each position the next few batches are compared, from every fifth one all that are left; from each one all if thorough.
    """
    loader = make_loader()
    states, batches, steps = [loader.state_dict()], [], 0
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        steps += len(loader)
        for batch in loader:
            batches.append(content_of(batch))
            states.append(loader.state_dict())
    assert len(batches) == steps
    for position, state in enumerate(states):
        text = json.dumps(state)
        assert len(text.encode()) < 1024
        resumed = make_loader()
        resumed.load_state_dict(json.loads(text))
        assert resumed.state_dict() == state
        most = _compared(position)
        rest = [content_of(batch) for batch in islice(_batches(resumed, epochs), most)]
        assert rest == batches[position:][:most], f"resumed after batch {position}"


def assert_resumes_elsewhere(make_rank: Callable[[int, int], Any], worlds: Iterable[int], *, epochs: int = 2) -> None:
    """Stop one rank after any batch, of any epoch: any of those worlds goes on with the same global batches.

    As many batches are compared as by `assert_resumes_exactly`.

    Args:
        make_rank: makes the loader of (rank, world size).
        worlds: numbers of ranks, each of which goes on from every state.
        epochs: how many.
    """
    alone = make_rank(0, 1)
    states, batches = [alone.state_dict()], []
    for _ in range(epochs):
        for batch in alone:
            batches.append(content_of(batch))
            states.append(alone.state_dict())
    for world_size in worlds:
        for position, state in enumerate(states):
            ranks = [make_rank(rank, world_size) for rank in range(world_size)]
            for rank in ranks:
                rank.load_state_dict(state)
            left = chain.from_iterable(zip(*ranks, strict=True) for _ in range(ranks[0].epoch, epochs))
            most = _compared(position)
            rest = [content_of(joined(parts)) for parts in islice(left, most)]
            assert rest == batches[position:][:most], f"resumed by {world_size} ranks after batch {position}"


def _compared(position: int) -> int | None:
    """Return how many batches are compared after a stop; None for all that are left."""
    return None if THOROUGH or position % 5 == 0 else 4


def _batches(loader: Any, epochs: int) -> Iterator[Any]:
    for epoch in range(loader.epoch, epochs):
        loader.set_epoch(epoch)
        yield from loader


def assert_reads_each_row_once(make_reader: Callable[[], Any], ids: Iterable[int]) -> None:
    """An epoch holds exactly those ids, once each, apart from marked repetitions; and so does the next epoch."""
    reader, wanted = make_reader(), sorted(ids)
    for _ in range(2):
        assert sorted(one for batch in reader for one in ids_of(batch)) == wanted


def ids_of(batch: pa.RecordBatch | Mapping[str, Any]) -> list[int]:
    """The ids of a batch's rows, marked repetitions left out."""
    names = batch.schema.names if isinstance(batch, pa.RecordBatch) else batch
    ids = _plain(batch["id"])
    if "repeated" in names:
        counts = [not one for one in _plain(batch["repeated"])]
    else:
        counts = _plain(batch["valid"]) if "valid" in names else [True] * len(ids)
    return [one for one, counted in zip(ids, counts, strict=True) if counted]


def joined(parts: Sequence[Any]) -> Any:
    """The global batch that the ranks' batches are the parts of."""
    if isinstance(parts[0], pa.RecordBatch):
        return pa.concat_batches(parts)
    return {name: _joined([part[name] for part in parts]) for name in parts[0]}


def _joined(values: Sequence[Any]) -> Any:
    if isinstance(values[0], list):
        return [one for part in values for one in part]
    return np.concatenate([np.asarray(one) for one in values])


def content_of(batch: pa.RecordBatch | Mapping[str, Any]) -> Any:
    """All that a batch holds, as values that can be compared: names, types, shapes, bytes."""
    if isinstance(batch, pa.RecordBatch):
        columns = {name: batch.column(name) for name in batch.schema.names}
        return str(batch.schema), {name: (len(column), column.to_pylist()) for name, column in columns.items()}
    return {name: _bytes_of(values) for name, values in batch.items()}


def _bytes_of(values: Any) -> Any:
    if isinstance(values, Sequence):
        return [_bytes_of(value) if isinstance(value, np.ndarray) else value for value in values]
    array = np.asarray(values)
    return str(array.dtype), array.shape, array.tobytes()


def _plain(values: Any) -> list[Any]:
    return list(values.to_pylist() if isinstance(values, pa.Array) else values.tolist())
