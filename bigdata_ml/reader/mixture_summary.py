"""What a mixture promises, before anything is read: steps, and what an epoch has of each dataset."""

from dataclasses import dataclass

from bigdata_ml.reader.mixed_contents import MemberRows, MixtureContents
from bigdata_ml.reader.mixture import Mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.rank import Rank

__all__ = ["MixtureSummary", "summarise_mixture"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureSummary:
    """An epoch of a mixture in figures.

    Attributes:
        epoch: which one.
        steps: on every rank.
        streams, window: of the order; each dataset has as many streams, and its share of the window.
        members: rows of each dataset.
    """

    epoch: int
    steps: int
    streams: int
    window: int
    members: tuple[MemberRows, ...]


def summarise_mixture(
    mixture: Mixture, read: ReadOptions, *, global_batch_size: int, world_size: int = 1, epoch: int = 0
) -> MixtureSummary:
    """Return what an epoch of a mixture promises; nothing but the columns of predicates and weights is read.

    Args:
        mixture: what would be read.
        read: columns, predicate, weights, order.
        global_batch_size: rows of a step over all ranks.
        world_size: how many ranks.
        epoch: which one, 0 …

    Raises:
        ValueError, WorldSizeNotAllowed, DatasetInvalid: as `open_reader`.
    """
    if epoch < 0:
        raise ValueError(f"epoch must be 0 or more, got {epoch}")
    contents = MixtureContents(mixture, read, Rank(world_size=world_size), global_batch_size)
    return MixtureSummary(
        epoch=epoch,
        steps=contents.plan(epoch).steps,
        streams=contents.settings.streams,
        window=contents.settings.window,
        members=tuple(contents.rows_of(epoch)),
    )
