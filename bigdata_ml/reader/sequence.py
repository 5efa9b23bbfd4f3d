"""Sequences: samples of several rows that follow one another in the dataset."""

from dataclasses import dataclass
from datetime import timedelta
from operator import index

__all__ = ["Sequence"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """Samples of `length` rows that follow one another in the dataset, over the borders of row groups and files.

    The dataset must lie in the order of `order`, by entity: rows are not sorted when they are read. A sample is known by its
    first row, and there is one for each row that is followed by enough rows of the same entity without too large a gap.
    Every column becomes one of `length` values a sample. A predicate must hold for all rows of a sample, and no sample goes
    over a row for which it does not; a weight is that of the first row.

    Attributes:
        length: rows of a sample, 1 or more.
        order: the field that the rows ascend by: numbers, dates or times. Equal values may follow one another.
        entity: the field that tells apart what the sequences are of, whose rows lie together; None where all rows are of one.
        max_gap: the largest difference of `order` between neighbours in a sample, a timedelta or a number in the field's unit;
            None for any.
        stride: rows from one sample's first to the next one's, counted from where the entity begins, or goes on after a gap.
        overlap: without it no two samples of an entity share a row, or a value of `order`: each begins at the first row that
            is above the one before. It goes with stride 1.
        restarts: whether the order may start again at the border of a row group, as it does where each file is sorted by itself:
            no sample goes over such a border. Else a value below the one before is an error.
        span: row groups that are read together, and shuffled as one. The row groups that hold the last samples' further rows
            are read besides, so more of them are read the smaller it is. None: four times as many as those, fewer where the
            dataset has less than 32 times as many.
    """

    length: int
    order: str
    entity: str | None = None
    max_gap: float | timedelta | None = None
    stride: int = 1
    overlap: bool = True
    restarts: bool = False
    span: int | None = None

    def __post_init__(self) -> None:
        for name in ("length", "stride", "span"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, index(value))
                if value < 1:
                    raise ValueError(f"{name} must be 1 or more, got {value}")
        if not self.overlap and self.stride != 1:
            raise ValueError(f"overlap=False says itself where samples begin; leave stride out, got {self.stride}")
        gap = self.max_gap.total_seconds() if isinstance(self.max_gap, timedelta) else self.max_gap
        if gap is not None and not gap >= 0:
            raise ValueError(f"max_gap must be 0 or more, got {self.max_gap}")
