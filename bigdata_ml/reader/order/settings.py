"""The order's settings: what `ReadOptions` leave open is chosen here, from the dataset and the global batch."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import index

import numpy as np
import pyarrow.compute as pc

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import WorldSizeNotAllowed
from bigdata_ml.reader.options import ReadOptions, Remainder, Shuffle
from bigdata_ml.reader.rank import Rank, divisors
from bigdata_ml.schema.arrow import fixed_width

__all__ = ["MARKS", "OrderSettings", "check_budget", "held_bound", "order_settings", "refuse_beyond", "row_bytes"]

# Bytes of each held row's marks: which row of which row group it is.
MARKS = 8
_STREAMS = 16
_WINDOW_BYTES = 256 << 20
_WINDOW_ROWS = 1 << 22


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderSettings:
    """All that an order depends on, the dataset's row groups, the selection and the epoch apart.

    Attributes:
        seed: 0 … 2^63 − 1.
        global_batch_size: rows of one step over all ranks, 1 or more.
        streams: canonical sequences, a divisor of the global batch.
        window: rows over all streams.
        remainder: `drop`, `pad` or `exact`.
        shuffle: whether the rows come in the seed's order or the dataset's; `groups` for whole row groups in the seed's order,
            `rows` for row groups in the dataset's order and their rows in the seed's.
    """

    seed: int
    global_batch_size: int
    streams: int
    window: int
    remainder: Remainder
    shuffle: Shuffle

    @property
    def shuffles_groups(self) -> bool:
        """Whether row groups come in the seed's order."""
        return self.shuffle in (True, "groups")

    @property
    def shuffles_rows(self) -> bool:
        """Whether the rows of a group, and those in a window, come in the seed's order."""
        return self.shuffle in (True, "rows")

    @property
    def stream_batch(self) -> int:
        """Rows that each stream gives to a step."""
        return self.global_batch_size // self.streams

    @property
    def delay(self) -> int:
        """Each stream's share of the window, in rows."""
        return self.window // self.streams

    def steps(self, rows: int) -> int:
        """Return the steps of an epoch of that many rows: ⌊rows / batch⌋ for `drop`, ⌈rows / batch⌉ otherwise.

        Raises:
            ValueError: no step at all, with the numbers.
        """
        size = self.global_batch_size
        steps = rows // size if self.remainder == "drop" else -(-rows // size)
        if steps == 0:
            raise ValueError(
                f"{rows} selected rows make no step of {size} rows with remainder={self.remainder!r}; "
                "take a smaller batch, remainder='pad' or 'exact', or a predicate that leaves rows"
            )
        return steps


def order_settings(row_bytes: int, read: ReadOptions, *, rows: int, global_batch_size: int, rank: Rank) -> OrderSettings:
    """Return the settings of the order in which `rows` selected rows of so many bytes are read.

    Raises:
        ValueError: a global batch of no rows, or streams that do not divide it.
        WorldSizeNotAllowed: a world size that does not divide the streams, or the global batch where streams are not given.
    """
    global_batch_size = index(global_batch_size)
    if global_batch_size < 1:
        raise ValueError(f"global_batch_size must be at least 1, got {global_batch_size}")
    streams = _given(read, global_batch_size, rank) if read.streams is not None else _chosen(read, global_batch_size, rank)
    window = 0
    if read.shuffle in (True, "rows"):
        window = min(_WINDOW_ROWS, _WINDOW_BYTES // row_bytes) if read.window is None else read.window
    return OrderSettings(
        seed=read.seed,
        global_batch_size=global_batch_size,
        streams=streams,
        window=min(window, rows),
        remainder=read.remainder,
        shuffle=read.shuffle,
    )


def _given(read: ReadOptions, size: int, rank: Rank) -> int:
    streams = read.streams or 1
    if size % streams:
        raise ValueError(
            f"streams={streams} must divide the global batch of {size} rows; its divisors are {_listed(divisors(size))}"
        )
    if streams % rank.world_size:
        raise WorldSizeNotAllowed(
            f"{streams} streams cannot be divided among {rank.world_size} ranks; "
            f"allowed world sizes are {_listed(divisors(streams))}"
        )
    return streams


def _chosen(read: ReadOptions, size: int, rank: Rank) -> int:
    """Return the default number of streams; another one, with a warning, where the world size does not divide it."""
    world = rank.world_size
    if size % world:
        raise WorldSizeNotAllowed(
            f"a global batch of {size} rows cannot be divided among {world} ranks; "
            f"allowed world sizes are {_listed(divisors(size))}"
        )
    if read.shuffle is not True:
        return world
    usual = max(divisor for divisor in divisors(size) if divisor <= _STREAMS)
    if usual % world == 0:
        return usual
    chosen = min((one for one in divisors(size) if one % world == 0 and one >= 8), default=world)
    warnings.warn(
        f"{chosen} streams were chosen by the world size of {world}, since it does not divide the usual {usual}: this is "
        f"another order than at world size 1. Give ReadOptions(streams={chosen}) everywhere to have the same order at the "
        f"world sizes {_listed(divisors(chosen))}",
        stacklevel=7,
    )
    return chosen


def row_bytes(dataset: Dataset) -> int:
    """Return the bytes a row takes in memory, on average, at least those of its fields of fixed width.

    Of row groups whose bytes in memory the table does not say they are as many as on disk.
    """
    table = dataset.row_groups.table
    in_memory = pc.sum(pc.coalesce(table["memory_bytes"], table["length"])).as_py() or 0
    widths = (fixed_width(field.type) or 0 for field in dataset.schema)
    return max(1, -(-in_memory // max(1, dataset.rows)), sum(widths))


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def held_bound(settings: OrderSettings, counts: np.ndarray, world_size: int) -> int:
    """Return how many rows a rank holds at most: streams / world size × (delay + rows of the largest group), or all there are."""
    rows = settings.streams // world_size * (settings.delay + int(counts.max(initial=0)))
    return min(rows, int(counts.sum()))


def check_budget(settings: OrderSettings, dataset: Dataset, counts: np.ndarray, rank: Rank, budget: int) -> None:
    """Refuse an order for which a rank would hold more than `budget` bytes of rows, by `held_bound` and `row_bytes`.

    Raises:
        ValueError: naming what would be held, and the streams and window that would fit.
    """
    largest, each, world = int(counts.max(initial=0)), row_bytes(dataset) + MARKS, rank.world_size
    needed = held_bound(settings, counts, world) * each
    if needed <= budget:
        return
    fewer = [divisor for divisor in divisors(settings.streams) if divisor % world == 0]
    fitting = [streams for streams in fewer if held_bound(replace(settings, streams=streams), counts, world) * each <= budget]
    # The window for which so many streams would fit, 0 or less if none does.
    room = {streams: budget // each * world - streams * largest for streams in fewer}
    ways = [f"streams={max(fitting)}"] if fitting else []
    if room[settings.streams] > 0:
        ways.append(f"window={room[settings.streams]}")
    both = [streams for streams in fewer if room[streams] > 0]
    if not ways and both:
        ways.append(f"streams={max(both)} and window={room[max(both)]}")
    ways.append(f"memory_budget={needed}" if ways else f"row groups smaller than {largest} rows, or memory_budget={needed}")
    raise ValueError(
        f"{dataset.url}: with {settings.streams} streams and a window of {settings.window} rows each of {world} ranks would hold "
        f"{needed / 2**20:.0f} MiB of rows, more than memory_budget={budget} ({budget / 2**20:.0f} MiB); "
        f"take {', or '.join(ways)}"
    )


def refuse_beyond(url: str, settings: OrderSettings, held: Callable[[OrderSettings], int], rank: Rank, budget: int) -> None:
    """Refuse an order by which a rank would hold more than `budget` bytes of rows, where `held` says how many.

    Raises:
        ValueError: naming what would be held, and streams that would fit.
    """
    needed, world = held(settings), rank.world_size
    if needed <= budget:
        return
    fewer = (replace(settings, streams=divisor) for divisor in divisors(settings.streams) if divisor % world == 0)
    fitting = [candidate.streams for candidate in fewer if held(candidate) <= budget]
    way = f"streams={max(fitting)}" if fitting else "fewer streams, a smaller window"
    raise ValueError(
        f"{url}: with {settings.streams} streams and a window of {settings.window} rows each of {world} ranks would hold "
        f"{needed / 2**20:.0f} MiB of rows, more than memory_budget={budget} ({budget / 2**20:.0f} MiB); take {way}, or "
        f"memory_budget={needed}"
    )
