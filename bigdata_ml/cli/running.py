"""Running what the command line asks for: a job by its flags, and errors as a line and an exit code."""

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

from bigdata_ml.cli.job_file import DESCRIPTION, with_job_file
from bigdata_ml.cli.printing import ERR
from bigdata_ml.errors import BigDataMLError, DatasetInvalid

__all__ = ["guarded", "run_job"]

_Job = TypeVar("_Job")


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
    """Run it; an error of ours is a line on stderr and an exit code.

    With BIGDATA_ML_TRACEBACK set, it shows where it was found.
    """
    try:
        result = body()
    except BigDataMLError as error:
        if os.environ.get("BIGDATA_ML_TRACEBACK"):
            raise
        ERR.print(f"{type(error).__name__}: {error}", markup=False, soft_wrap=True)
        return 1 if isinstance(error, DatasetInvalid) else 2
    except (ValueError, TypeError, OSError) as error:
        if os.environ.get("BIGDATA_ML_TRACEBACK"):
            raise
        ERR.print(f"error: {error} (BIGDATA_ML_TRACEBACK=1 shows where)", markup=False, soft_wrap=True)
        return 2
    except ModuleNotFoundError as error:
        ERR.print(f"error: {error}; install the extra of bigdata_ml that has it", markup=False, soft_wrap=True)
        return 2
    return result if isinstance(result, int) else 0
