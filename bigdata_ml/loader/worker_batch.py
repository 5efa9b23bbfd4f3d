"""A batch on its way from a worker process of a torch DataLoader, refused where its loader was moved meanwhile."""

import os
import uuid
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from bigdata_ml.loader.collate import Batch

if TYPE_CHECKING:
    from bigdata_ml.reader import Cursor

__all__ = ["WorkerBatch", "WorkerStamp"]

# The cursors of this process's loaders. An arriving batch brings nothing from which its loader could be reached.
_CURSORS: "WeakValueDictionary[str, Cursor]" = WeakValueDictionary()


class WorkerStamp:
    """By which a batch from a copy of a loader finds the loader it was copied from.

    Args:
        cursor: of the loader in this process, the DataLoader's own.
    """

    def __init__(self, cursor: "Cursor") -> None:
        self._register(cursor)

    def _register(self, cursor: "Cursor") -> None:
        self._process, self.key, self._cursor = os.getpid(), uuid.uuid4().hex, cursor
        _CURSORS[self.key] = cursor

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # A copy in the same process is a loader of its own; one in a worker process belongs to the one it was copied from.
        if self._process == os.getpid():
            self._register(self._cursor)


class WorkerBatch(dict[str, Any]):
    """A batch in a worker process. Unpickled in the DataLoader's process, it is a plain dict.

    Raises, when it is unpickled:
        RuntimeError: the loader was moved after its worker processes were started.
    """

    def __init__(self, batch: Batch, key: str, cursor: "Cursor", epoch: int) -> None:
        super().__init__(batch)
        self._stamp = (key, cursor.moves_given, epoch, cursor.is_kept)

    def __copy__(self) -> "WorkerBatch":
        made = WorkerBatch.__new__(WorkerBatch)
        made.update(self)
        made._stamp = self._stamp
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (dict(self), *self._stamp)


def _arrived(batch: Batch, key: str, moves: int, epoch: int, is_kept: bool) -> Batch:
    cursor = _CURSORS.get(key)
    if cursor is None or cursor.moves == moves:
        return batch
    # Workers that are kept have gone on to the epoch that is asked for.
    if is_kept and (cursor.epoch, cursor.step) == (epoch, 0):
        return batch
    raise RuntimeError(
        "the loader was moved (set_epoch, load_state_dict) after iter() of the DataLoader around it, whose worker processes read "
        f"epoch {epoch} from where it was before; move it before iter(), and leave out persistent_workers=True, "
        "by which workers only go on to the next epoch"
    )
