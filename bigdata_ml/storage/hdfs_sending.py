"""Writing a file to HDFS by hdfs-native, again and again if DataNodes are lost."""

import asyncio
import importlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from bigdata_ml.storage.client import OnePerProcess

__all__ = ["send_to_hdfs"]

_PIECE = 2**20
# A piece that takes longer is stuck: the client may wait for ever when a DataNode is lost.
_PIECE_SECONDS = 60.0
# Before a file is sent again: a minute in all.
_WAITS = (1, 2, 4, 8, 15, 30, None)


def send_to_hdfs(authority: str, path: str, file: IO[bytes]) -> None:
    """Make the file at `path`, which is replaced if it is there.

    Inside a block the client goes on without a DataNode that is lost. But a block that the NameNode places on a lost one,
    as it does until it has noticed, ends the write, which then starts again.

    Args:
        authority: host:port of the NameNode, or a nameservice.
        path: the file's, on HDFS.
        file: its bytes, from the beginning.

    Raises:
        OSError, RuntimeError: as the client raises them, after seven attempts; at once what the NameNode refuses.
    """
    for wait in _WAITS:
        # In a thread of its own: the caller's may run a loop already, as a notebook's does.
        with ThreadPoolExecutor(1) as pool:
            failure = pool.submit(asyncio.run, _send(authority, path, file)).result()
        if failure is None:
            return
        if wait is None or _is_refusal(failure):
            raise failure
        time.sleep(wait)


@OnePerProcess
def _client(authority: str) -> Any:
    """Return the process's client."""
    return importlib.import_module("hdfs_native").AsyncClient(f"hdfs://{authority}")


async def _send(authority: str, path: str, file: IO[bytes]) -> Exception | None:
    """Send the file once; return why that failed half-way. That it cannot be begun is raised."""
    options = importlib.import_module("hdfs_native").WriteOptions(overwrite=True)
    writer = await _client(authority).create(path, options)
    file.seek(0)
    try:
        while piece := file.read(_PIECE):
            await asyncio.wait_for(writer.write(piece), _PIECE_SECONDS)
        await asyncio.wait_for(writer.close(), _PIECE_SECONDS)
    except asyncio.TimeoutError:
        return TimeoutError(f"{path}: nothing was written in {_PIECE_SECONDS:.0f} seconds")
    except (OSError, RuntimeError) as error:
        return error
    return None


def _is_refusal(error: Exception) -> bool:
    """Whether the NameNode said no (permission, quota, a file in the way), which it would say again."""
    named = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
    return isinstance(error, named) or str(error).startswith("RPCError")
