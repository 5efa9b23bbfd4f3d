"""pytest plugin under which Petastorm's own tests run, on the old stack and through the bridge alike; it imports nothing of ours.

It provides what those tests (of 2018 to 2021, not Petastorm itself) need of their surroundings, leaves out the tests that the
environment names, and writes one line of JSON when a test starts and when it is over, so that a run that was killed has said how
far it came.
"""

import inspect
import json
import os
import sys
import types
from fnmatch import fnmatchcase
from unittest import mock

import pandas.testing
import psutil
import pytest

RESULTS = os.environ.get("UPSTREAM_RESULTS")
LEFT_OUT = json.loads(os.environ.get("UPSTREAM_LEFT_OUT", "[]"))
ALREADY_RUN = set(json.loads(os.environ.get("UPSTREAM_ALREADY_RUN", "[]")))


class _TensorFlow(types.ModuleType):
    """Lets test modules that import TensorFlow at their top be collected; tests that use it are left out."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = mock.MagicMock(name=f"tf.{name}")
        setattr(self, name, value)
        return value


def _stand_in_for_tensorflow():
    names = ("tensorflow", "tensorflow.compat", "tensorflow.compat.v1")
    for name in names:
        sys.modules[name] = _TensorFlow(name)
        sys.modules[name].__path__ = []
        sys.modules[name].__version__ = "2.8.0"
    sys.modules[names[0]].compat = sys.modules[names[1]]
    sys.modules[names[1]].v1 = sys.modules[names[2]]


_stand_in_for_tensorflow()
if not hasattr(inspect, "getargspec"):
    inspect.getargspec = inspect.getfullargspec
sys.modules.setdefault("pandas.util.testing", pandas.testing)


class _LoggerHooks:
    @pytest.hookspec
    def pytest_logger_config(self, logger_config):
        """Declared by pytest-logger, which Petastorm's conftest expects."""


def pytest_addhooks(pluginmanager):
    pluginmanager.add_hookspecs(_LoggerHooks)


def pytest_sessionstart(session):
    # Petastorm gives a worker process 20 s to start, of which a busy machine takes no notice.
    from petastorm.workers_pool import process_pool

    process_pool._KEEP_TRYING_WHILE_ZMQ_AGAIN_IS_RAIZED_TIMEOUT_S = 60


@pytest.fixture(autouse=True)
def _bridge_in_interpreters_of_their_own(request, monkeypatch):
    """One test starts `python -c`, which nobody can tell of the bridge but by the environment."""
    place = os.environ.get("UPSTREAM_SITE")
    if place and request.node.name == "test_atexit":
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([place, os.environ["PYTHONPATH"]]))


@pytest.fixture(autouse=True)
def _ended_processes_are_reaped(request, monkeypatch):
    """One test waits for an orphan to be gone; where no init process reaps it, as in containers, it stays a zombie."""
    if request.node.name == "test_workers_die_when_main_process_dies":
        monkeypatch.setattr(request.module, "pid_exists", _runs)


def _runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pytest_ignore_collect(collection_path, config):
    return True if any(fnmatchcase(str(collection_path), pattern) for pattern in LEFT_OUT) else None


def pytest_collection_modifyitems(config, items):
    def is_left_out(item):
        return any(fnmatchcase(item.nodeid, pattern) for pattern in LEFT_OUT)

    selected = [item for item in items if item.nodeid not in ALREADY_RUN and not is_left_out(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in selected])
    items[:] = selected
    _write({"collected": [item.nodeid for item in selected]})


def pytest_runtest_logstart(nodeid, location):
    _write({"started": nodeid})


_reports = {}


def pytest_runtest_logreport(report):
    _reports.setdefault(report.nodeid, []).append(report)


def pytest_runtest_logfinish(nodeid, location):
    reports = _reports.pop(nodeid, [])
    failed = [report for report in reports if report.failed]
    skipped = [report for report in reports if report.skipped]
    outcome = "failed" if failed else "skipped" if skipped else "passed"
    said = str((failed or skipped)[0].longrepr)[-2000:] if failed or skipped else ""
    _write({"test": nodeid, "outcome": outcome, "said": said, "seconds": round(sum(report.duration for report in reports), 2)})


def pytest_collectreport(report):
    if report.failed:
        _write({"uncollected": report.nodeid, "said": str(report.longrepr)[-2000:]})


_exit_status = []


def pytest_sessionfinish(exitstatus):
    _exit_status.append(int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    """End although a thread that a test left behind goes on, as one of the old stack does: all has been written."""
    if RESULTS and _exit_status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_status[0])


def _write(line):
    if RESULTS:
        with open(RESULTS, "a") as file:
            file.write(json.dumps(line) + "\n")
