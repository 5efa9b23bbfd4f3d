"""Programs that use the bridge run in interpreters of their own: what they import is to be theirs alone."""

import subprocess
import sys
from pathlib import Path

__all__ = ["bridged", "run"]


def run(code: str, *arguments: str | Path) -> str:
    """Run Python code; return what it prints."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def bridged(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m bigdata_ml.petastorm_bridge` with these arguments."""
    command = [sys.executable, "-m", "bigdata_ml.petastorm_bridge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
