"""`WeightedSamplingReader`: several readers as one, each with its share of the rows."""

from collections.abc import Sequence
from math import isfinite

from bigdata_ml.compat.petastorm.reader import Reader
from bigdata_ml.compat.petastorm.reading.mixed_source import MixedSource
from bigdata_ml.compat.petastorm.reading.source import Source

__all__ = ["WeightedSamplingReader"]


class WeightedSamplingReader(Reader):
    """Rows of several readers by proportion: deterministic, exact to within two rows of any stretch, and resumable.

    It ends before the first of them runs out. It stands wherever a reader does, in loaders too; batches of mixed batch readers
    hold rows of all of them. The order is that of the first reader's seed.

    Args:
        readers: two or more, alike in shuffling, shards, epochs and fields; nothing was read of them.
        probabilities: their shares, 0 or more; they need not sum to 1.

    Raises:
        ValueError: fewer than two readers, another number of probabilities, or readers that differ.
    """

    def __init__(self, readers: Sequence[Reader], probabilities: Sequence[float]) -> None:
        if len(readers) < 2:
            raise ValueError(f"give two readers or more, got {len(readers)}")
        if len(readers) != len(probabilities):
            raise ValueError(f"give as many probabilities as readers, got {len(probabilities)} for {len(readers)}")
        if not all(isfinite(one) and one >= 0 for one in probabilities) or not sum(probabilities):
            raise ValueError(f"probabilities must be 0 or more, and not all 0, got {list(probabilities)}")
        sources = [reader.source for reader in readers]
        members = [one for one in sources if isinstance(one, Source)]
        if len(members) < len(sources):
            raise ValueError("readers that are mixtures themselves cannot be mixed; give all their readers to one mixture")
        self._readers = list(readers)
        used = [(one, weight) for one, weight in zip(members, probabilities, strict=True) if weight]
        # One that is never drawn from leaves the others' order as it is.
        source: Source | MixedSource = used[0][0]
        if len(used) > 1:
            source = MixedSource(tuple(one for one, _ in used), tuple(float(weight) for _, weight in used))
        super().__init__(source)

    def stop(self) -> None:
        """End the threads, those of the readers too; nothing can be read any more."""
        super().stop()
        for reader in self._readers:
            reader.stop()
