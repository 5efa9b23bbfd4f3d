"""Running what the command line asks for: a job by its flags, and errors and signals as a line and an exit code."""

import inspect
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import tyro

from bigdata_ml.cli.job_file import DESCRIPTION, with_job_file
from bigdata_ml.cli.printing import ERR
from bigdata_ml.errors import BigDataMLError, DatasetInvalid
from bigdata_ml.shown import redacted

__all__ = ["guarded", "run_job"]

_Job = TypeVar("_Job")
# What a driver or a client may say again in its own words.
_SECRETS = ("JDBC_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends what runs in the way of Ctrl-C, so that the same is cleaned up."""


def run_job(config: type[_Job], body: Callable[[_Job], object], arguments: Sequence[str] | None = None) -> int:
    """Parse a job's frozen config from the command line and run it; returns the exit code.

    Args:
        config: dataclass whose fields are the flags; `--config FILE` takes them from YAML: see `with_job_file`.
        body: what runs.
        arguments: the flags; by default the process's own.
    """
    options = (tyro.conf.UseAppendAction, tyro.conf.OmitArgPrefixes)
    description = f"{inspect.getdoc(config) or ''}".partition("\n\nAttributes:")[0]

    def run() -> object:
        found = with_job_file(sys.argv[1:] if arguments is None else arguments, config)
        return body(tyro.cli(config, args=found, config=options, description=f"{description}\n\n{DESCRIPTION}"))

    return guarded(run)


def guarded(body: Callable[[], object]) -> int:
    """Run it; an error of ours is a line on stderr and an exit code, and so are Ctrl-C (130) and SIGTERM (143).

    With BIGDATA_ML_TRACEBACK set, an error shows where it was found.
    """
    try:
        with _terminable():
            result = body()
    except KeyboardInterrupt as stop:
        terminated = isinstance(stop, _Terminated)
        _say("terminated" if terminated else "interrupted")
        return 143 if terminated else 130
    except BigDataMLError as error:
        _show_where()
        _say(f"{type(error).__name__}: {error}")
        return 1 if isinstance(error, DatasetInvalid) else 2
    except (ValueError, TypeError, OSError) as error:
        _show_where()
        _say(f"error: {error} (BIGDATA_ML_TRACEBACK=1 shows where)")
        return 2
    except ModuleNotFoundError as error:
        _say(f"error: {error}; install the extra of bigdata_ml that has it")
        return 2
    return result if isinstance(result, int) else 0


def _say(text: str) -> None:
    ERR.print(redacted(text, (os.environ.get(name, "") for name in _SECRETS)), soft_wrap=True)


def _show_where() -> None:
    if os.environ.get("BIGDATA_ML_TRACEBACK"):
        raise


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the body as Ctrl-C does, unless somebody else waits for them, and neither be told of by other libraries."""
    handlers = {signal.SIGINT: (signal.default_int_handler, _interrupt), signal.SIGTERM: (signal.SIG_DFL, _terminate)}
    in_main = threading.current_thread() is threading.main_thread()
    ours = {number: usual for number, (usual, _) in handlers.items() if in_main and signal.getsignal(number) is usual}
    for number in ours:
        signal.signal(number, handlers[number][1])
    before = logging.root.manager.disable
    try:
        yield
    finally:
        logging.disable(before)
        for number, usual in ours.items():
            signal.signal(number, usual)


def _interrupt(_: int, __: FrameType | None) -> None:
    # Py4J logs what ends a call to Java with two tracebacks.
    logging.disable()
    raise KeyboardInterrupt


def _terminate(_: int, __: FrameType | None) -> None:
    logging.disable()
    raise _Terminated
