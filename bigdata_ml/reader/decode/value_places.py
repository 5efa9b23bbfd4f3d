"""The places of values in a vocabulary, made ready for look-ups once per dataset instead of once per batch."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["ValuePlaces"]


class ValuePlaces:
    """Finds values among those of a vocabulary.

    Args:
        values: the vocabulary's, all different.
        kind: Arrow type of the columns.

    Raises:
        ArrowInvalid, ArrowTypeError: values that are not of that type.
    """

    __slots__ = ("_places", "_values")

    def __init__(self, values: Sequence[str | int | bool], kind: pa.DataType) -> None:
        self._values = pa.array(values, kind)
        self._places: dict[str | int | bool, int] | None = None

    def of(self, column: pa.Array) -> np.ndarray:
        """Return the place of each value of a column, -1 for nulls and other values: int64 [rows]."""
        if len(self._values) <= 2 * len(column):
            indices = pc.fill_null(pc.index_in(column, self._values), -1)
            return np.asarray(indices.to_numpy(zero_copy_only=False), np.int64)
        # Arrow hashes all values again at each call: of 100,000 that takes 75 ms, and 512 look-ups take less than one.
        if self._places is None:
            self._places = {value: place for place, value in enumerate(self._values.to_pylist())}
        plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        coded = plain.dictionary_encode()
        places = [self._places.get(value, -1) for value in coded.dictionary.to_pylist()]
        row_of_value = np.array([*places, -1], np.int64)
        return np.asarray(row_of_value[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)])
