"""Run a job from its flags; turn errors and signals into one line and an exit code."""

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
# A driver or client may repeat these in its error texts.
_SECRETS = ("JDBC_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class _Terminated(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C so that the same cleanup runs."""


def run_job(config: type[_Job], body: Callable[[_Job], object], arguments: Sequence[str] | None = None) -> int:
    """Parse a job's frozen config from the command line and run it; return the exit code.

    Args:
        config: dataclass whose fields are the flags; `--config FILE` reads them from YAML, see `with_job_file`.
        body: runs the job.
        arguments: the flags; by default the process's own.
    """
    options = (tyro.conf.UseAppendAction, tyro.conf.OmitArgPrefixes)
    description = f"{inspect.getdoc(config) or ''}".partition("\n\nAttributes:")[0]

    def run() -> object:
        flags = with_job_file(sys.argv[1:] if arguments is None else arguments, config)
        return body(tyro.cli(config, args=flags, config=options, description=f"{description}\n\n{DESCRIPTION}"))

    return guarded(run)


def guarded(body: Callable[[], object]) -> int:
    """Run `body`; report errors, Ctrl-C (130) and SIGTERM (143) as one line on stderr and an exit code.

    With BIGDATA_ML_TRACEBACK set, errors are raised with their traceback.
    """
    try:
        with _terminable():
            result = body()
    except KeyboardInterrupt as stop:
        terminated = isinstance(stop, _Terminated)
        _print_error("terminated" if terminated else "interrupted")
        return 143 if terminated else 130
    except BigDataMLError as error:
        _raise_if_asked()
        _print_error(f"{type(error).__name__}: {error}")
        return 1 if isinstance(error, DatasetInvalid) else 2
    except (ValueError, TypeError, OSError) as error:
        _raise_if_asked()
        _print_error(f"error: {error} (BIGDATA_ML_TRACEBACK=1 shows the traceback)")
        return 2
    except ModuleNotFoundError as error:
        _print_error(f"error: {error}; install the extra of bigdata_ml that contains it")
        return 2
    return result if isinstance(result, int) else 0


def _print_error(text: str) -> None:
    ERR.print(redacted(text, (os.environ.get(name, "") for name in _SECRETS)), soft_wrap=True)


def _raise_if_asked() -> None:
    if os.environ.get("BIGDATA_ML_TRACEBACK"):
        raise


@contextmanager
def _terminable() -> Iterator[None]:
    """End the body on SIGTERM or Ctrl-C, without log lines of other libraries; handlers that others installed stay."""
    handlers = {signal.SIGINT: (signal.default_int_handler, _interrupt), signal.SIGTERM: (signal.SIG_DFL, _terminate)}
    in_main = threading.current_thread() is threading.main_thread()
    ours = {number: default for number, (default, _) in handlers.items() if in_main and signal.getsignal(number) is default}
    for number in ours:
        signal.signal(number, handlers[number][1])
    before = logging.root.manager.disable
    try:
        yield
    finally:
        logging.disable(before)
        for number, default in ours.items():
            signal.signal(number, default)


def _interrupt(_: int, __: FrameType | None) -> None:
    # Py4J logs two tracebacks for an interrupted call to Java.
    logging.disable()
    raise KeyboardInterrupt


def _terminate(_: int, __: FrameType | None) -> None:
    logging.disable()
    raise _Terminated
