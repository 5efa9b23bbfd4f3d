"""The rows of one step: where they come from, and their stored values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from bigdata_ml.reader.order.plan import StepRows

__all__ = ["BatchColumns", "StepBatch"]

MakeArray = Callable[[], pa.Array]
MakeNumbers = Callable[[], np.ndarray]


class _Numbers(Mapping[str, np.ndarray]):
    """Arrays by name; an array given as a function is made on first access."""

    def __init__(self, arrays: Mapping[str, np.ndarray | MakeNumbers]) -> None:
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> np.ndarray:
        array = self._arrays[name]
        if callable(array):
            array = self._arrays[name] = array()
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


class BatchColumns:
    """The columns of a batch, each made on first access.

    Args:
        schema: of the batch.
        arrays: its columns as Arrow arrays, or functions that make them.
        numbers: see below; arrays, or functions that make them.

    Attributes:
        numbers: columns of numbers, or tensors of them [rows, *shape], without nulls, as numpy arrays that share no
            memory, so that a caller may change them.
    """

    def __init__(
        self, schema: pa.Schema, arrays: Mapping[str, pa.Array | MakeArray], numbers: Mapping[str, np.ndarray | MakeNumbers]
    ) -> None:
        self._schema, self._arrays = schema, dict(arrays)
        self.numbers: Mapping[str, np.ndarray] = _Numbers(numbers)

    def column(self, name: str) -> pa.Array:
        """Return a column."""
        array = self._arrays[name]
        if callable(array):
            array = self._arrays[name] = array()
        return array

    @cached_property
    def batch(self) -> pa.RecordBatch:
        """All of them."""
        return pa.RecordBatch.from_arrays([self.column(name) for name in self._schema.names], schema=self._schema)


@dataclass(frozen=True, slots=True)
class StepBatch:
    """The rows of one step.

    Attributes:
        rows: where each row comes from.
        skipped: whether its row group could not be read, bool [rows].
        columns: the stored values.
    """

    rows: StepRows
    skipped: np.ndarray
    columns: BatchColumns

    @property
    def batch(self) -> pa.RecordBatch:
        """The values as an Arrow batch."""
        return self.columns.batch
