"""Runs Petastorm's own tests, from the installed wheel, on one stack or on both, and says what became of each.

    python tests/petastorm/upstream/both_stacks.py --old OLD_PYTHON --results FOLDER

The old stack runs Petastorm unmodified; this environment runs it through the bridge. Exits with 1 if a test fails that is not
explained in `explained.py`, if one that passes on the old stack does anything else through the bridge (but for the three named
there), if the stacks do not collect the same tests, or if one of them did not run what it collected.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE))

from explained import FAULT_OF_PETASTORM, FAULT_OF_THE_TEST, LEFT_OUT  # noqa: E402

# Packages that the tests import and this environment need not have, gcsfs above all.
BESIDE = [place for place in os.environ.get("UPSTREAM_BESIDE", "").split(os.pathsep) if place]
SECONDS_A_TEST = 300
SECONDS_WITHOUT_NEWS = 600
FOLDERS = ("tests", "workers_pool/tests", "hdfs/tests")


@dataclass
class Stack:
    """An environment, and what Petastorm's tests did in it."""

    name: str
    python: str
    bridged: bool
    outcomes: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    collected: set[str] = field(default_factory=set)
    uncollected: dict[str, str] = field(default_factory=dict)

    def run(self, files: list[str], folder: Path) -> None:
        """Run the tests; a run that dies or hangs goes on, in a new process, after the test that did it."""
        results = folder / f"{self.name}.jsonl"
        results.unlink(missing_ok=True)
        site = self._site_packages()
        while True:
            before = len(self.outcomes)
            ended = self._once(files, site, results, folder / f"{self.name}.log")
            started = self._read(results)
            if ended in (0, 1) or (started is None and len(self.outcomes) == before):
                break
            if started is not None:
                self.outcomes[started], self.said[started] = "failed", f"it ended the process or hung (exit code {ended})"
        self.collected |= set(self.outcomes)

    def _site_packages(self) -> Path:
        code = "import importlib.util; print(importlib.util.find_spec('petastorm').origin)"
        found = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True, cwd="/")
        return Path(found.stdout.strip()).parents[1]

    def _once(self, files: list[str], site: Path, results: Path, log: Path) -> int:
        tests = [str(site / "petastorm" / file) for file in files]
        options = [
            "-p",
            "stand_ins",
            "-p",
            "no:cacheprovider",
            "--assert=plain",
            "--continue-on-collection-errors",
            f"--timeout={SECONDS_A_TEST}",
            "-W",
            "ignore",
            "-q",
        ]
        # Nothing of this repository's settings, or of a pytest.ini on the way, is meant for these tests.
        pytest = ["-m", "pytest", *options, "-c", os.devnull, "--rootdir", str(site), *tests]
        bridge = ["-m", "bigdata_ml.petastorm_bridge"] if self.bridged else []
        with log.open("a") as output, tempfile.TemporaryDirectory() as scratch:
            process = subprocess.Popen(
                [self.python, *bridge, *pytest],
                cwd=scratch,
                env=self._environment(results, scratch),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                return _wait_while_it_moves(process, results)
            finally:
                _end_group(process)

    def _environment(self, results: Path, scratch: str) -> dict[str, str]:
        path = [str(HERE), *([str(ROOT), *BESIDE] if self.bridged else [])]
        return {
            **os.environ,
            "PATH": f"{Path(self.python).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(path),
            "PYSPARK_PYTHON": self.python,
            "PYSPARK_DRIVER_PYTHON": self.python,
            "TMPDIR": scratch,
            "UPSTREAM_SITE": str(HERE / "site") if self.bridged else "",
            "UPSTREAM_RESULTS": str(results),
            "UPSTREAM_LEFT_OUT": json.dumps(list(LEFT_OUT)),
            "UPSTREAM_ALREADY_RUN": json.dumps(sorted(self.outcomes)),
        }

    def _read(self, results: Path) -> str | None:
        """Take in the lines written so far; return the test that started and never finished."""
        running = None
        for line in map(json.loads, results.read_text().splitlines() if results.exists() else []):
            match line:
                case {"collected": tests}:
                    self.collected |= set(tests)
                case {"uncollected": place, "said": said}:
                    self.uncollected[place] = said
                case {"started": test}:
                    running = test
                case {"test": test, "outcome": outcome, "said": said, "seconds": seconds}:
                    self.outcomes[test], self.said[test], self.seconds[test] = outcome, said, seconds
                    running = None
        return None if running in self.outcomes else running


def _wait_while_it_moves(process: "subprocess.Popen[bytes]", results: Path) -> int:
    size = -1
    while True:
        try:
            return process.wait(timeout=SECONDS_WITHOUT_NEWS)
        except subprocess.TimeoutExpired:
            now = results.stat().st_size if results.exists() else 0
            if now == size:
                return -signal.SIGKILL
            size = now


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End what the tests left running: they were started in a session of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def explanation(test: str) -> str | None:
    """Return why a test may fail through the bridge, or None."""
    if test in FAULT_OF_THE_TEST:
        return f"the test's fault: {FAULT_OF_THE_TEST[test]}"
    return f"Petastorm's own: {FAULT_OF_PETASTORM[test]}" if test in FAULT_OF_PETASTORM else None


def complaints(new: Stack, old: Stack | None) -> list[str]:
    """Return what makes a run a failure."""
    found = [f"{place} was not collected through the bridge: {said[-300:]}" for place, said in new.uncollected.items()]
    for stack in (new, old):
        if stack is not None and not stack.collected:
            found.append(f"no test was collected by the stack {stack.name}: see its log")
        elif stack is not None:
            unrun = sorted(stack.collected - set(stack.outcomes))
            found += [f"{test} was collected by the stack {stack.name}, which ended before it ran: see its log" for test in unrun]
    failed = sorted(test for test, outcome in new.outcomes.items() if outcome == "failed")
    found += [f"{test} fails and is not explained: {new.said[test][-300:]}" for test in failed if explanation(test) is None]
    return found + (_differences(new, old) if old is not None else [])


def _differences(new: Stack, old: Stack) -> list[str]:
    """Return what is worse through the bridge than on the old stack, and which tests only one of them has."""
    found = [f"{test} is collected on the old stack and not through the bridge" for test in sorted(old.collected - new.collected)]
    found += [
        f"{test} is collected through the bridge and not on the old stack" for test in sorted(new.collected - old.collected)
    ]
    for test in sorted(test for test, outcome in old.outcomes.items() if outcome == "passed" and test not in FAULT_OF_THE_TEST):
        outcome = new.outcomes.get(test, "not run")
        if outcome != "passed":
            found.append(f"{test} passes on the old stack and is {outcome} through the bridge")
    return found


def table(stacks: list[Stack]) -> str:
    """Return the counts, a line a stack."""
    everything = set().union(*(stack.collected for stack in stacks))
    lines = [f"{'stack':<10} {'passed':>7} {'failed':>7} {'skipped':>8} {'not collected':>14} {'minutes':>8}"]
    for stack in stacks:
        counts = Counter(stack.outcomes.values())
        missing = len(everything - stack.collected)
        minutes = sum(stack.seconds.values()) / 60
        lines.append(
            f"{stack.name:<10} {counts['passed']:>7} {counts['failed']:>7} {counts['skipped']:>8} {missing:>14} {minutes:>8.1f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--old", metavar="PYTHON", help="the old stack's interpreter; without it only the bridge runs")
    parser.add_argument("--results", type=Path, required=True, metavar="FOLDER", help="where results and logs go")
    parser.add_argument("--only", choices=("bridge", "old"), help="run one of the two stacks")
    parser.add_argument("files", nargs="*", default=list(FOLDERS), help="test files or folders within the package petastorm")
    asked = parser.parse_args()
    asked.results.mkdir(parents=True, exist_ok=True)
    folder = asked.results.resolve()
    new = Stack("bridge", sys.executable, bridged=True)
    old = Stack("old", str(Path(asked.old).absolute()), bridged=False) if asked.old else None
    stacks = [stack for stack in (old, new) if stack is not None and asked.only in (None, stack.name)]
    for stack in stacks:
        stack.run(asked.files, folder)
    print(table(stacks))
    print(f"left out on both: {'; '.join(f'{pattern} ({reason})' for pattern, reason in LEFT_OUT.items())}")
    for stack in stacks:
        for test, outcome in sorted(stack.outcomes.items()):
            if outcome == "failed":
                why = (explanation(test) or "NOT EXPLAINED") if stack is new else stack.said[test].splitlines()[-1]
                print(f"{stack.name}: {test}: {why}")
    (folder / "results.json").write_text(
        json.dumps([vars(stack) | {"collected": sorted(stack.collected)} for stack in stacks], indent=1)
    )
    wrong = complaints(new, old if old in stacks else None) if new in stacks else []
    print("\n".join(["", *wrong]) if wrong else "every failure is explained")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
