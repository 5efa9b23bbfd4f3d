"""Shows how far a Spark job is: tasks and rows done, rate, time left."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import SparkContext
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bigdata_ml.shown import shown
from bigdata_ml.terminal import PlainConsole

__all__ = ["say", "stage_progress"]

_POLL_SECONDS = 0.5
_CONSOLE = PlainConsole(stderr=True)


def say(text: str) -> None:
    """Write one log line to stderr."""
    _CONSOLE.print(text, soft_wrap=True)


@contextmanager
def stage_progress(context: SparkContext, text: str, *, rows: int | None = None) -> Iterator[None]:
    """Show a bar of the running Spark stages' tasks while the body runs, then one line with its seconds, rows and rate.

    Where stderr is no terminal only the line is written. While it runs, rows are reckoned from the tasks that are done.

    Args:
        context: of the session.
        text: what is done.
        rows: how many rows the body goes through, where that is known.
    """
    stopped = threading.Event()
    watcher = threading.Thread(target=_watch, args=(context, text, rows, stopped), daemon=True)
    begin = time.perf_counter()
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()
    seconds = time.perf_counter() - begin
    say(f"{text}: {seconds:.1f} s" + ("" if rows is None else f", {rows:,} rows, {rows / seconds:,.0f} rows/s"))


def _watch(context: SparkContext, text: str, rows: int | None, stopped: threading.Event) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks{task.fields[rows]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    begin = time.perf_counter()
    with Progress(*columns, console=_CONSOLE, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(shown(text), total=None, rows="")
        done_before, seen = 0, {}
        while not stopped.wait(_POLL_SECONDS):
            tracker = context.statusTracker()
            for stage in tracker.getActiveStageIds():
                info = tracker.getStageInfo(stage)
                if info is not None:
                    seen[stage] = (info.numCompletedTasks, info.numTasks)
            done = max(sum(tasks_done for tasks_done, _ in seen.values()), done_before)
            total = sum(total for _, total in seen.values())
            reckoned = _reckoned(rows, done / total, time.perf_counter() - begin) if rows and total else ""
            progress.update(bar, completed=done, total=total or None, rows=reckoned)
            done_before = done


def _reckoned(rows: int, part: float, seconds: float) -> str:
    done = int(rows * min(1.0, part))
    return f", about {done:,} of {rows:,} rows, {done / seconds:,.0f} rows/s"
