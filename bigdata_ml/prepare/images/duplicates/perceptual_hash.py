"""A 64-bit hash of what an image shows: images that look alike differ in few bits.

The pHash of Zauner 2010 ("Implementation and benchmarking of perceptual image hash functions"): which of the low frequencies of
the discrete cosine transform of 32 × 32 grey pixels lie above their median. All in whole numbers, so that every machine
computes the same bits.
"""

from functools import cache

import numpy as np
from PIL import Image

__all__ = ["BITS", "perceptual_hash"]

BITS = 64
_SIDE = 32
_SCALE = 1 << 12
# Below this amplitude, in levels of grey, frequencies are noise: a blank page would look like every other.
_LEAST_AMPLITUDE = 2


def perceptual_hash(grey: Image.Image) -> int | None:
    """Return the hash of a grey image (mode L) as a signed 64-bit integer, or None for one that shows next to nothing.

    The bits are those of the 8 × 8 lowest frequencies, the mean being replaced by the ninth horizontal one.
    """
    pixels = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)).astype(np.int64)
    basis = _cosines()
    frequencies = basis @ pixels @ basis.T
    low = np.append(frequencies[:8, :8].ravel()[1:], frequencies[0, 8])
    # A cosine of amplitude 1 over the image has this coefficient.
    if int(np.abs(low).max()) < _LEAST_AMPLITUDE * _SCALE * _SCALE * _SIDE * _SIDE // 4:
        return None
    # The median of an even number of values, doubled to stay whole.
    ordered = np.sort(low)
    bits = 2 * low > ordered[BITS // 2 - 1] + ordered[BITS // 2]
    return int(np.packbits(bits).view(">i8")[0])


@cache
def _cosines() -> np.ndarray:
    """Return the first nine cosines over 32 pixels as whole numbers, int64 [9, 32]."""
    places = 2 * np.arange(_SIDE) + 1
    return np.round(np.cos(np.pi * places * np.arange(9)[:, np.newaxis] / (2 * _SIDE)) * _SCALE).astype(np.int64)
