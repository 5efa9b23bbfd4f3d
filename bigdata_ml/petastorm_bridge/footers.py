"""Caches parsed footers of local files per process, because Petastorm opens a file again for every row group."""

import os
import threading
from collections import OrderedDict
from typing import Any

import pyarrow.parquet as pq

from bigdata_ml.petastorm_bridge.filesystems import LocalFileSystem

__all__ = ["kept_footer"]

_MOST = 256
_lock = threading.Lock()
_kept: OrderedDict[tuple[str, int, int, int], Any] = OrderedDict()


def kept_footer(filesystem: Any, path: str) -> Any:
    """Return the current footer of a local file; None for other files, whose changes cannot be detected."""
    if type(filesystem) is not LocalFileSystem:
        return None
    status = os.stat(path)
    key = (path, status.st_mtime_ns, status.st_size, status.st_ino)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    footer = pq.read_metadata(path)
    with _lock:
        _kept[key] = footer
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
    return footer
