"""What is read and in which order, as one frozen value."""

from dataclasses import dataclass
from typing import Literal, get_args

import pyarrow.compute as pc

__all__ = ["Engine", "ReadOptions", "Remainder"]

Remainder = Literal["drop", "pad", "exact"]
Engine = Literal["arrow", "petastorm"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """What is read and in which order.

    Attributes:
        columns: fields to read, in this order; None reads all.
        predicate: Arrow expression that rows must satisfy (`pc.field("month") < 6`); a null is no.
        shuffle: whether rows come in the seed's order, another one each epoch, or in the dataset's.
        seed: of that order, 0 … 2^63 − 1.
        remainder: what becomes of the rows that do not fill a last global batch. `drop` leaves them out (others each
            epoch), `pad` fills the batch with rows that are repeated and marked, `exact` is `pad` with `valid` 0 for
            repeated rows, so that metrics count each row once.
        image_size: (height, width) in pixels that images are resized to (bilinear, antialiased); None keeps
            each image's own, which must then be the same for all rows of a batch.
        engine: `arrow`, the native one, or `petastorm`.
    """

    columns: tuple[str, ...] | None = None
    predicate: pc.Expression | None = None
    shuffle: bool = True
    seed: int = 0
    remainder: Remainder = "drop"
    image_size: tuple[int, int] | None = None
    engine: Engine = "arrow"

    def __post_init__(self) -> None:
        if self.remainder not in get_args(Remainder):
            raise ValueError(f"remainder must be one of {', '.join(get_args(Remainder))}, got {self.remainder!r}")
        if self.engine not in get_args(Engine):
            raise ValueError(f"engine must be one of {', '.join(get_args(Engine))}, got {self.engine!r}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must lie in [0, 2^63), got {self.seed}")
        if self.columns is not None and len(set(self.columns)) != len(self.columns):
            raise ValueError(f"columns must differ, got {', '.join(self.columns)}")
        if self.columns == ():
            raise ValueError("columns must name at least one field; leave it out to read all")
        if self.image_size is not None and (len(self.image_size) != 2 or min(self.image_size) < 1):
            raise ValueError(f"image_size must be (height, width) of at least 1 pixel each, got {self.image_size}")
