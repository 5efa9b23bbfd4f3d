"""The API under test: Petastorm itself, Petastorm through the bridge, or ours in its place.

PETASTORM_API=petastorm runs every test against the unmodified package, on the old stack: there each of them fails, which shows
that the fault is there and that the test sees it. Nothing in this folder but this file imports bigdata_ml.
"""

import importlib
import os
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# The APIs that solve faults; a test's marker says which of them solves its own.
SOLVING = ("bridge", "native")
UNSOLVED = "solved by an API that is not there yet"
UNMODIFIED = os.environ.get("PETASTORM_API") == "petastorm"

# What Petastorm's modules, their dependencies and pandas say of themselves is not what these tests are about.
WARNINGS = (
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::SyntaxWarning",
    "ignore::UserWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "solved_by(*apis): which APIs lack the fault; on the old stack the test fails")
    config.addinivalue_line("markers", "upstream: runs with `make test-petastorm-upstream` only, for it takes minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        for warning in WARNINGS:
            item.add_marker(pytest.mark.filterwarnings(warning))
    unsolved = [item for item in here if isinstance(item, pytest.Function) and item.callspec.params.get("api") == UNSOLVED]
    config.hook.pytest_deselected(items=unsolved)
    items[:] = [item for item in items if item not in unsolved]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "api" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("solved_by")
        assert marker is not None, f"{metafunc.definition.nodeid} does not say which API solves its fault"
        solving = ["petastorm"] if UNMODIFIED else [name for name in SOLVING if name in marker.args]
        metafunc.parametrize("api", solving or [UNSOLVED], indirect=True)


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Any:
    """An object with Petastorm's names, and `run_script`, which runs a program that imports petastorm."""
    return _API[request.param]()


@dataclass(frozen=True)
class _Api:
    modules: tuple[types.ModuleType, ...]
    run_script: tuple[str, ...]

    def __getattr__(self, name: str) -> Any:
        for module in self.modules:
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(name)


def _petastorm(*command: str) -> _Api:
    names = ("petastorm", "petastorm.reader", "petastorm.pytorch", "petastorm.weighted_sampling_reader", "petastorm.unischema")
    # `api.predicates` and `api.codecs` are the modules: attributes of the package once they are imported.
    importlib.import_module("petastorm.predicates")
    importlib.import_module("petastorm.codecs")
    return _Api(tuple(importlib.import_module(name) for name in names), (sys.executable, *command))


def _bridge() -> _Api:
    importlib.import_module("bigdata_ml.petastorm_bridge")
    return _petastorm("-m", "bigdata_ml.petastorm_bridge")


def _native() -> _Api:
    _bridge()  # the tests' datasets are written by Petastorm's classes
    return _Api((importlib.import_module("bigdata_ml.compat.petastorm"),), ())


_API: dict[str, Callable[[], _Api]] = {"petastorm": _petastorm, "bridge": _bridge, "native": _native}
