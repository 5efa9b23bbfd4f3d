"""`WeightedSamplingReader`: several readers as one, each with its share of the rows."""

from collections.abc import Sequence
from math import isfinite

from bigdata_ml.compat.petastorm.reader import Reader
from bigdata_ml.compat.petastorm.reading.mixed_source import MixedSource
from bigdata_ml.compat.petastorm.reading.source import Source

__all__ = ["WeightedSamplingReader"]


class WeightedSamplingReader(Reader):
    """Rows of several readers by proportion: deterministic, resumable, and exact to within two rows over any number of rows.

    It ends before the first reader is exhausted. It can replace a reader anywhere, also in loaders; batches of mixed batch
    readers contain rows of all of them. The first reader's seed determines the order.

    Args:
        readers: two or more unread readers with the same shuffling, shards, epochs and fields.
        probabilities: their shares, 0 or more; the sum need not be 1.

    Raises:
        ValueError: fewer than two readers, another number of probabilities, or readers that differ.
    """

    def __init__(self, readers: Sequence[Reader], probabilities: Sequence[float]) -> None:
        if len(readers) < 2:
            raise ValueError(f"give two readers or more, got {len(readers)}")
        if len(readers) != len(probabilities):
            raise ValueError(f"give as many probabilities as readers, got {len(probabilities)} for {len(readers)}")
        if not all(isfinite(share) and share >= 0 for share in probabilities) or not sum(probabilities):
            raise ValueError(f"probabilities must be 0 or more, and not all 0, got {list(probabilities)}")
        sources = [reader.source for reader in readers]
        members = [source for source in sources if isinstance(source, Source)]
        if len(members) < len(sources):
            raise ValueError("a mixture cannot be a member of a mixture; pass all readers to one mixture")
        self._readers = list(readers)
        used = [(member, weight) for member, weight in zip(members, probabilities, strict=True) if weight]
        # A reader with share 0 does not change the order of the others.
        source: Source | MixedSource = used[0][0]
        if len(used) > 1:
            source = MixedSource(tuple(member for member, _ in used), tuple(float(weight) for _, weight in used))
        super().__init__(source)

    def stop(self) -> None:
        """Stop the threads, including those of the readers; nothing can be read afterwards."""
        super().stop()
        for reader in self._readers:
            reader.stop()
