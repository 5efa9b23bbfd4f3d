"""What the C library does with memory that was freed."""

import ctypes
from functools import cache

__all__ = ["keep_freed_memory"]

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# The most that glibc comes to by itself after it has freed so large a block.
_KEPT_BYTES, _OWN_MAPPING_BYTES = 64 << 20, 32 << 20


@cache
def keep_freed_memory() -> None:
    """Have glibc keep up to 64 MiB that this process freed for what it asks for next; other C libraries are left as they are.

    glibc gives the top of its heap back to the kernel once twice the largest block freed so far is free there. Where every
    image takes some blocks of a few MB, that is after each image. The kernel then makes all pages of the next one again, a
    quarter of the time that a photograph takes. Blocks from 32 MiB on are mappings of their own, returned when freed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
