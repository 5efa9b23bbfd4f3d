"""What is read and in which order, as one frozen value."""

from dataclasses import dataclass
from operator import index
from typing import Literal, get_args

import numpy as np
import pyarrow.compute as pc

from bigdata_ml.reader.row_filter import RowFilter
from bigdata_ml.reader.row_weights import RowWeights
from bigdata_ml.reader.sequence import Sequence
from bigdata_ml.schema.picture_file import MOST_PIXELS, check_most_pixels

__all__ = ["Engine", "OnError", "ReadOptions", "Remainder", "Shuffle"]

Remainder = Literal["drop", "pad", "exact"]
Engine = Literal["arrow", "petastorm"]
OnError = Literal["raise", "skip"]
Shuffle = bool | Literal["groups", "rows"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """What is read and in which order.

    Attributes:
        columns: fields to read, in this order; None reads all.
        predicate: Arrow expression that rows must satisfy (`pc.field("month") < 6`; a null is no), or a `RowFilter`.
        weights: how often each selected row comes in an epoch; None: once. The number of steps is then each epoch's own.
        sequence: what a sample is where it is several rows that follow one another; None: a single row. What is said of rows
            below is then said of samples.
        shuffle: whether rows come in the seed's order, another one each epoch, or in the dataset's. `groups`: row groups in
            the seed's order, another one each epoch, the rows of each as they lie in the file, one group after the other.
            `rows`: row groups in the dataset's order, the rows of each, and of those in the window, in the seed's.
        seed: of that order, 0 … 2^63 − 1.
        remainder: what becomes of the rows that do not fill a last global batch. `drop` drops them (different ones each epoch).
            `pad` fills the batch with repeated, marked rows. `exact` is `pad` with `valid` 0 for
            repeated rows, so that metrics count each row once.
        streams: canonical sequences that the rows are dealt to; world sizes that divide it read the same global batches.
            It divides the global batch. None: the largest divisor of the global batch up to 16; 1 unless `shuffle` is True. Where
            the world size does not divide that, the smallest multiple of the world size from 8 up that divides the global
            batch, else the world size.
        window: rows, over all ranks, among which rows are mixed across row groups, 0 or more. None: the rows of 256 MiB,
            at most 4,194,304 and at most all; 0 where rows keep their files' order.
        image_size: (height, width) in pixels that images are resized to (bilinear, antialiased); None keeps
            each image's own, which must then be the same for all rows of a batch.
        max_pixels: height × width that an encoded image may have by its header, 1 … 178,956,970; an image of more is not decoded
            but a row that cannot be. A pixel takes 3 bytes, and up to three copies are held at once by each thread.
        exact_decimals: whether decimals are `decimal.Decimal` in lists, None for nulls, instead of the nearest float64.
        on_error: what becomes of a row group that cannot be read or a row that cannot be decoded. `raise` stops and names
            it; `skip` keeps its places, filled with zeros and `valid` 0, so that every other row stays where it was.
        max_skipped: share of an epoch's rows, 0 … 1, that may be skipped; one more raises.
        engine: `arrow`, the native one, or `petastorm`: the same rows and values by the unmodified Petastorm's reader (extra
            `petastorm`). It deals whole row groups to the ranks and mixes rows within them, so it takes neither `streams` nor
            `window`. It needs a row group for each rank, and resumes at epoch starts only.
    """

    columns: tuple[str, ...] | None = None
    predicate: pc.Expression | RowFilter | None = None
    weights: RowWeights | None = None
    sequence: Sequence | None = None
    shuffle: Shuffle = True
    seed: int = 0
    remainder: Remainder = "drop"
    streams: int | None = None
    window: int | None = None
    image_size: tuple[int, int] | None = None
    max_pixels: int = MOST_PIXELS
    exact_decimals: bool = False
    on_error: OnError = "raise"
    max_skipped: float = 0.001
    engine: Engine = "arrow"

    def __post_init__(self) -> None:
        for name, kind in (("remainder", Remainder), ("engine", Engine), ("on_error", OnError)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} must be one of {', '.join(get_args(kind))}, got {getattr(self, name)!r}")
        for name in ("seed", "streams", "window"):
            if getattr(self, name) is not None:
                # numpy's whole numbers are welcome, and become Python's: a state is JSON.
                object.__setattr__(self, name, index(getattr(self, name)))
        if self.shuffle not in ("groups", "rows"):
            if not isinstance(self.shuffle, (bool, np.bool_)):
                raise ValueError(f"shuffle must be True, False, 'groups' or 'rows', got {self.shuffle!r}")
            object.__setattr__(self, "shuffle", bool(self.shuffle))
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must lie in [0, 2^63), got {self.seed}")
        if self.columns is not None and len(set(self.columns)) != len(self.columns):
            raise ValueError(f"columns must differ, got {', '.join(self.columns)}")
        if self.columns == ():
            raise ValueError("columns must name at least one field; leave it out to read all")
        if self.streams is not None and self.streams < 1:
            raise ValueError(f"streams must be 1 or more, got {self.streams}")
        if self.window is not None and self.window < 0:
            raise ValueError(f"window must be 0 rows or more, got {self.window}")
        if self.window and self.shuffle not in (True, "rows"):
            raise ValueError(
                f"window mixes rows and shuffle={self.shuffle!r} keeps them in their files' order; got window={self.window}"
            )
        if not 0 <= self.max_skipped <= 1:
            raise ValueError(f"max_skipped is a share of the rows and must lie in [0, 1], got {self.max_skipped}")
        if self.image_size is not None and (len(self.image_size) != 2 or min(self.image_size) < 1):
            raise ValueError(f"image_size must be (height, width) of at least 1 pixel each, got {self.image_size}")
        check_most_pixels(self.max_pixels)
