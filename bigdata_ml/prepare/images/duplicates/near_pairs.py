"""Near duplicates: images whose perceptual hashes differ in few bits, found without comparing all with all.

A hash is cut into `distance` + k blocks; two hashes that differ in at most `distance` bits agree in at least k whole blocks. So
each hash is filed under every choice of k blocks, and only hashes filed under the same one are compared (the tables of Manku,
Jain, Das Sarma 2007, "Detecting near-duplicates for web crawling"). No pair is missed, except in a file of very many.
One task does it while hashes are few, else each key's hashes meet in one of many.
"""

from collections.abc import Iterator
from functools import partial
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from bigdata_ml.prepare.images.duplicates.perceptual_hash import BITS

__all__ = ["MOST_DISTANCE", "near_pairs"]

MOST_DISTANCE = 12
# A hash is compared with so many that follow it under a key: in a crowd, a constant number each, not all with all.
_REACH = 512
# More blocks in a key are more keys a hash and fewer hashes a key.
_MOST_AGREEING = 4
_HASHES_A_KEY = 64
# So many rows, one a hash and key, one task sorts and compares in 12 s; to deal out 2 million took Spark on two cores 7.
_FEW_FILED = 1 << 24
# At once, by that one task: a crowd's pairs are so many times the reach.
_COMPARED_ROWS = 2048
_FILED = "choice short, key long, hash long"
_PAIRS = "a long, b long"


def near_pairs(hashes: DataFrame, *, distance: int, count: int, reach: int = _REACH, few: int = _FEW_FILED) -> DataFrame:
    """Return the pairs of distinct hashes (`hash`: long) that differ in at most `distance` bits: `a` < `b`, each once.

    A row whose `b` is null says that more than `reach` + 1 hashes are filed under a key of `a`: of these, each was compared
    with the next `reach` in their order only, and pairs may be missing.

    Args:
        hashes: distinct hashes.
        distance: 0 … 12 bits.
        count: about how many hashes there are, which decides how they are filed, not what is found.
        reach: see above.
        few: where hashes are filed under no more keys together, one task compares them all.
    """
    if not 0 <= distance <= MOST_DISTANCE:
        raise ValueError(f"the distance of near duplicates must lie in [0, {MOST_DISTANCE}] bits, got {distance}")
    choices = _choices(distance, count)
    if count * len(choices) <= few:
        alone = partial(_filed_and_compared, choices=choices, distance=distance, reach=reach)
        return hashes.select("hash").coalesce(1).mapInArrow(alone, _PAIRS).distinct()
    filed = hashes.select("hash").mapInArrow(partial(_filed, choices=choices), _FILED)
    sorted_by_key = filed.repartition("choice", "key").sortWithinPartitions("choice", "key", "hash")
    return sorted_by_key.mapInArrow(partial(_compared, distance=distance, reach=reach), _PAIRS).distinct()


def _choices(distance: int, count: int) -> tuple[tuple[int, ...], ...]:
    """Return the bits of each key, as unsigned masks: one mask a choice of blocks."""
    if distance == 0:
        return ()
    agreeing = next(
        (k for k in range(1, _MOST_AGREEING) if count <= _HASHES_A_KEY << (BITS * k // (distance + k))), _MOST_AGREEING
    )
    blocks = distance + agreeing
    # Bits are dealt to blocks by turns: neighbouring frequencies go together in real images, and would crowd a block.
    masks = [sum(1 << bit for bit in range(block, BITS, blocks)) for block in range(blocks)]
    return tuple(combinations(masks, agreeing))


def _filed_and_compared(
    batches: Iterator[pa.RecordBatch], choices: tuple[tuple[int, ...], ...], distance: int, reach: int
) -> Iterator[pa.RecordBatch]:
    """Do in one task, a choice at a time, what `_filed`, Spark's sorting and `_compared` do in many."""
    hashes = np.sort(np.concatenate([np.zeros(0, np.int64), *(batch.column(0).to_numpy() for batch in batches)]))
    for filed in _filed(iter([pa.RecordBatch.from_arrays([pa.array(hashes)], ["hash"])]), choices):
        by_key = np.argsort(filed.column("key").to_numpy(), kind="stable")
        parts = (by_key[begin : begin + _COMPARED_ROWS] for begin in range(0, len(by_key), _COMPARED_ROWS))
        yield from _compared((filed.take(pa.array(part)) for part in parts), distance, reach)


def _filed(batches: Iterator[pa.RecordBatch], choices: tuple[tuple[int, ...], ...]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        hashes = batch.column(0).to_numpy()
        for number, blocks in enumerate(choices):
            keys = hashes.view(np.uint64) & np.uint64(sum(blocks))
            choice = np.full(len(hashes), number, np.int16)
            yield pa.RecordBatch.from_arrays(
                [pa.array(choice), pa.array(keys.view(np.int64)), pa.array(hashes)], ["choice", "key", "hash"]
            )


def _compared(batches: Iterator[pa.RecordBatch], distance: int, reach: int) -> Iterator[pa.RecordBatch]:
    """Compare each row with the `reach` rows before it that have its choice and key; rows come sorted by both."""
    choice, key, hashes = np.zeros(0, np.int16), np.zeros(0, np.int64), np.zeros(0, np.int64)
    for batch in batches:
        begin = len(hashes)
        choice, key, hashes = (
            np.concatenate([before, column.to_numpy()])
            for before, column in zip((choice, key, hashes), batch.columns, strict=True)
        )
        left, right = _pairs_in(choice, key, hashes, begin, distance, reach)
        crowded = _beginnings_of_crowds(choice, key, begin, reach)
        firsts = np.concatenate([np.minimum(left, right), hashes[crowded]])
        seconds = pa.array(np.concatenate([np.maximum(left, right), hashes[crowded]]))
        known = pa.array(np.arange(len(firsts)) < len(left))
        yield pa.RecordBatch.from_arrays([pa.array(firsts), pc.if_else(known, seconds, None)], ["a", "b"])
        choice, key, hashes = choice[-reach - 2 :], key[-reach - 2 :], hashes[-reach - 2 :]


def _pairs_in(
    choice: np.ndarray, key: np.ndarray, hashes: np.ndarray, begin: int, distance: int, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for offset in range(1, min(reach, len(hashes) - 1) + 1):
        later = np.arange(max(begin, offset), len(hashes))
        later = later[_same(choice, key, later, offset)]
        if not len(later):
            break
        apart = np.bitwise_count(hashes[later].view(np.uint64) ^ hashes[later - offset].view(np.uint64))
        near = later[apart <= distance]
        left.append(hashes[near - offset])
        right.append(hashes[near])
    return np.concatenate(left), np.concatenate(right)


def _beginnings_of_crowds(choice: np.ndarray, key: np.ndarray, begin: int, reach: int) -> np.ndarray:
    """Return the places of rows before which exactly `reach` + 1 rows lie under their key: one a crowd."""
    later = np.arange(max(begin, reach + 1), len(key))
    later = later[_same(choice, key, later, reach + 1)]
    before = later >= reach + 2
    longer = np.zeros(len(later), bool)
    longer[before] = _same(choice, key, later[before], reach + 2)
    return np.asarray(later[~longer])


def _same(choice: np.ndarray, key: np.ndarray, later: np.ndarray, offset: int) -> np.ndarray:
    return np.asarray((choice[later] == choice[later - offset]) & (key[later] == key[later - offset]))
