"""The batches of one iteration, as they are stored, by the engine of its cursor."""

from dataclasses import replace

import numpy as np

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.assemble.step_batch import StepBatch
from bigdata_ml.reader.cursor import Cursor
from bigdata_ml.reader.engines import make_assembler
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.reader.order.plan import Plan
from bigdata_ml.reader.order.stream_reader import Share

__all__ = ["EpochBatches"]


class EpochBatches:
    """The batches of stored rows of one iteration, and a text for each row whose row group could not be read.

    At most `threads` row groups are read ahead, about 256 MiB together.
    """

    def __init__(self, cursor: Cursor, plan: Plan, share: Share, *, threads: int = 0) -> None:
        self.plan = plan
        self._stop = Stop()
        skips = cursor.read.on_error == "skip"
        self.source = cursor.contents.source(self._stop, keeps_bad_values=skips)
        self._unreadable: dict[int, str] = {}
        skip = self._remember if skips else None
        self._assembler = make_assembler(cursor, plan, share, self.source, on_unreadable=skip, threads=threads)
        self.steps = self._assembler.steps

    def next(self) -> StepBatch:
        """Return the next step's rows; rows with a value that does not fit its field's type are marked as skipped."""
        step_batch = self._assembler.next()
        if not self.source.has_bad_values:
            return step_batch
        return replace(step_batch, skipped=step_batch.skipped | [text is not None for text in self._bad_values(step_batch)])

    def stop(self) -> None:
        """Ask the reading to end, without waiting for it or for a lock: a finaliser may call it."""
        self._stop.is_said = True
        self._assembler.stop()

    def close(self) -> None:
        """End the reading; no thread may be waiting in `next`."""
        self._stop.is_said = True
        self._assembler.close()

    def skipped(self, step_batch: StepBatch) -> list[str]:
        """Return a text for each skipped row, except rows that fill the last batch."""
        rows = step_batch.rows
        skipped = step_batch.skipped & ~rows.repeated
        texts = self._bad_values(step_batch)
        return [texts[place] or self._unreadable[int(rows.groups[place])] for place in np.flatnonzero(skipped).tolist()]

    def _bad_values(self, step_batch: StepBatch) -> list[str | None]:
        """Return for each row why one of its values does not fit its field's type, or None."""
        places = zip(step_batch.rows.groups.tolist(), step_batch.rows.rows.tolist(), strict=True)
        return [self.source.bad_value(group, row) for group, row in places]

    def _remember(self, group: int, error: DatasetInvalid) -> None:
        self._unreadable[group] = str(error)
