"""Runs the fault tests against unmodified Petastorm on the old stack, where each must fail, each in a process of its own.

    python tests/petastorm/faults/on_the_old_stack.py OLD_PYTHON [PYTEST_ARGUMENT …]

A test that hangs there, as some do even while they are being ended, is killed: that is how it fails. Exits with 1 if one passes.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = 90


def pytest(python: str, *arguments: str) -> tuple[int | None, str]:
    """Run pytest on the old stack; return its exit code, None if it had to be killed, and its output."""
    # Neither this repository's settings nor its other fixtures, which import bigdata_ml.
    alone = ["-c", os.devnull, "--rootdir", str(HERE), "--confcutdir", str(HERE), "-p", "no:cacheprovider", "-q"]
    process = subprocess.Popen(
        [python, "-m", "pytest", *alone, *arguments],
        env={**os.environ, "PETASTORM_API": "petastorm", "PYTHONPATH": "", "PATH": f"{Path(python).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> int:
    """Run each test; print what became of it."""
    python, *chosen = sys.argv[1:]
    _, collected = pytest(python, "--collect-only", *(chosen or [str(HERE)]))
    tests = [line for line in collected.splitlines() if "::" in line and not line.startswith(" ")]
    passing = []
    for test in tests:
        code, output = pytest(python, "--tb=line", str(HERE / test))
        said = [line for line in output.splitlines() if "Error" in line or "Failed" in line or line.startswith("E ")]
        verdict = "hangs" if code is None else "fails" if code == 1 else "PASSES" if code == 0 else f"PYTEST ENDED WITH {code}"
        print(f"{verdict:<7} {test}  {said[0][-110:] if said and code == 1 else ''}", flush=True)
        if code not in (None, 1):
            passing.append(test)
    print(f"{len(tests) - len(passing)} of {len(tests)} tests fail on the old stack")
    return 1 if passing or not tests else 0


if __name__ == "__main__":
    raise SystemExit(main())
