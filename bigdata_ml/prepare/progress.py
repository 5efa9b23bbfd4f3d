"""Shows how far a Spark job is: tasks done, rate, time left."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import SparkContext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["say", "stage_progress"]

_POLL_SECONDS = 0.5
_CONSOLE = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Write one log line to stderr."""
    _CONSOLE.print(text, markup=False, soft_wrap=True)


@contextmanager
def stage_progress(context: SparkContext, text: str) -> Iterator[None]:
    """Show a bar of the running Spark stages' tasks while the body runs, then one line with its seconds.

    Where stderr is no terminal only the line is written.
    """
    stopped = threading.Event()
    watcher = threading.Thread(target=_watch, args=(context, text, stopped), daemon=True)
    begin = time.perf_counter()
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()
    say(f"{text}: {time.perf_counter() - begin:.1f} s")


def _watch(context: SparkContext, text: str, stopped: threading.Event) -> None:
    columns = (
        TextColumn(text),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_CONSOLE, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(text, total=None)
        done_before, seen = 0, {}
        while not stopped.wait(_POLL_SECONDS):
            tracker = context.statusTracker()
            for stage in tracker.getActiveStageIds():
                info = tracker.getStageInfo(stage)
                if info is not None:
                    seen[stage] = (info.numCompletedTasks, info.numTasks)
            done = sum(one for one, _ in seen.values())
            progress.update(bar, completed=max(done, done_before), total=sum(total for _, total in seen.values()) or None)
            done_before = done
