"""Medians with their spread, of things tried in turn, printed and saved as JSON."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Measured", "in_turn", "save"]


@dataclass(frozen=True)
class Measured:
    """Median, least and greatest of some runs, in `unit`."""

    median: float
    least: float
    greatest: float
    runs: int
    unit: str

    def __str__(self) -> str:
        return f"{self.median:,.3g} {self.unit} ({self.least:,.3g}–{self.greatest:,.3g}, {self.runs} runs)"


def in_turn(tasks: Mapping[str, Callable[[], float]], *, runs: int, unit: str) -> dict[str, Measured]:
    """Run all tasks `runs` times, one after the other so that a busy moment meets all of them.

    Args:
        tasks: by name; each returns how much it did (rows, for instance).
        runs: how often.
        unit: of what is returned: amount a second.
    """
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(runs):
        for name, task in tasks.items():
            begin = time.perf_counter()
            amount = task()
            found[name].append(amount / (time.perf_counter() - begin))
    return {name: Measured(statistics.median(one), min(one), max(one), runs, unit) for name, one in found.items()}


def save(name: str, figures: Mapping[str, object]) -> Path:
    """Write the figures to `benchmarks/results/NAME.json` and return the place."""
    place = Path(__file__).parent / "results" / f"{name}.json"
    place.parent.mkdir(exist_ok=True)
    plain = {key: asdict(value) if isinstance(value, Measured) else value for key, value in figures.items()}
    place.write_text(json.dumps({"machine": platform.platform(), **plain}, indent=1, default=str) + "\n")
    return place
