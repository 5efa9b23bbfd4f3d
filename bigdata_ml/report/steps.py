"""The steps of a whole pipeline, as its launcher measured them in `steps.jsonl`."""

from dataclasses import dataclass
from pathlib import Path

from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.report.json_files import read_lines

__all__ = ["Step", "read_steps"]

_STEPS = "steps.jsonl"


@dataclass(frozen=True, slots=True)
class Step:
    """A step, its seconds and the peak resident memory of its processes in MiB."""

    name: str
    seconds: float
    peak_rss_mb: float


def read_steps(directory: Path) -> tuple[Step, ...]:
    """Return the steps that finished; none if nobody measured any.

    Raises:
        MetadataUnreadable: a line that is no step.
    """
    try:
        lines = read_lines(directory / _STEPS).objects
        return tuple(Step(str(line["step"]), float(line["seconds"]), float(line["peak_rss_mb"])) for line in lines)
    except (KeyError, TypeError, ValueError) as error:
        text = f"each line must have step, seconds and peak_rss_mb ({type(error).__name__}: {error})"
        raise MetadataUnreadable(f"{directory / _STEPS}: {text}; delete the file or write it again") from error
