"""Whether a reader's shard is that of its Horovod process."""

import logging
import os
from typing import Any

__all__ = ["warn_of_another_shard"]

_VARIABLES = (
    ("HOROVOD_RANK", "HOROVOD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)
_log = logging.getLogger(__name__)


def warn_of_another_shard(cur_shard: Any, shard_count: Any) -> bool:
    """Return whether the shard is that of the Horovod (or MPI) process this is, True where it is none; log a warning if not."""
    for rank_variable, size_variable in _VARIABLES:
        rank, size = os.environ.get(rank_variable), os.environ.get(size_variable)
        if rank is None and size is None:
            continue
        if rank is None or size is None or (cur_shard, shard_count) == (int(rank), int(size)):
            return True
        _log.warning(
            "%s=%s and %s=%s, but the reader is given cur_shard=%s and shard_count=%s: each process reads rows that others "
            "read too; give cur_shard=hvd.rank(), shard_count=hvd.size()",
            *(rank_variable, rank, size_variable, size, cur_shard, shard_count),
        )
        return False
    return True
