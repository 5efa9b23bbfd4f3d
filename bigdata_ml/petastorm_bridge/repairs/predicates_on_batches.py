"""Petastorm's own predicates, written for one row, raised in make_batch_reader, which hands them a frame of rows."""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any


def mend(module: ModuleType) -> None:
    """Give each predicate an answer for a frame: a Series of booleans. For one row nothing changes."""
    _for_frames(module.in_set, lambda self, frame: frame[self._predicate_field].isin(self._inclusion_values))
    _for_frames(module.in_negate, lambda self, frame: ~self._predicate.do_include(frame).astype(bool))
    _for_frames(module.in_reduce, _reduced)
    for predicate in (module.in_intersection, module.in_pseudorandom_split):
        _for_frames(predicate, functools.partial(_row_by_row, predicate.do_include))


def _for_frames(predicate: Any, on_frame: Callable[[Any, Any], Any]) -> None:
    on_row = predicate.do_include

    @functools.wraps(on_row)
    def do_include(self: Any, values: Any) -> Any:
        # A row is a dict. Pandas is imported by then if it is a frame.
        return on_frame(self, values) if hasattr(values, "iloc") else on_row(self, values)

    predicate.do_include = do_include


def _row_by_row(on_row: Callable[[Any, Any], bool], self: Any, frame: Any) -> Any:
    return _series(frame, [on_row(self, row) for row in frame.to_dict("records")])


def _reduced(self: Any, frame: Any) -> Any:
    masks = [predicate.do_include(frame) for predicate in self._predicate_list]
    return _series(frame, [bool(self._reduce_func(list(row))) for row in zip(*masks, strict=True)])


def _series(frame: Any, values: list[bool]) -> Any:
    import pandas as pd

    return pd.Series(values, index=frame.index, dtype=bool)
