"""Loads Petastorm's modules, and no others, with their own `import`.

A finder before all others recognises `petastorm` and `petastorm.*`. Each of these modules is executed with private builtins whose
`__import__` returns views of pyarrow, numpy and a few more (`views.py`); its file on disk, pyarrow, numpy and the names in
`sys.modules` do not change.
"""

import builtins
import importlib.machinery
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

__all__ = ["install", "private_builtins"]

_EXTRA = "install the extra 'petastorm' of bigdata_ml (pip install 'bigdata_ml[petastorm]')"
_SUPPORTED = "0.13."
# Programs and tests replace these two in `builtins`; a copy would not notice.
_FORWARDED = ("open", "print")


def install() -> None:
    """Make the next `import petastorm` use the bridge; later calls do nothing.

    Raises:
        ImportError: Petastorm was already imported without the bridge.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    loaded = sys.modules.get("petastorm")
    if loaded is not None:
        raise ImportError(
            "petastorm was imported before bigdata_ml.petastorm_bridge, so it runs without the bridge: import the bridge first, "
            "or run the program by python -m bigdata_ml.petastorm_bridge PROGRAM.py",
            name="petastorm",
        )
    sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds what the other finders find, and replaces the loader."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "petastorm" and not name.startswith("petastorm."):
            return None
        spec = self._package(target) if name == "petastorm" else self._ask_the_others(name, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec

    def _package(self, target: ModuleType | None) -> ModuleSpec:
        spec = self._ask_the_others("petastorm", None, target)
        if spec is not None and spec.submodule_search_locations is None:
            spec = _package_behind_the_stand_in()
        if spec is None or spec.origin is None:  # a folder of that name on the path is not an installation
            raise ModuleNotFoundError(f"petastorm is not installed: {_EXTRA}", name="petastorm")
        _check_version()
        return spec

    def _ask_the_others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if isinstance(finder, _Finder) or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                return spec
        return None


def _package_behind_the_stand_in() -> ModuleSpec | None:
    """On Spark's workers a file petastorm.py, which imports the bridge, stands before the package (`on_spark.py`)."""
    for place in sys.path:
        spec = importlib.machinery.PathFinder.find_spec("petastorm", [place])
        if spec is not None and spec.submodule_search_locations is not None and spec.loader is not None:
            return spec
    return None


def _check_version() -> None:
    try:
        version = importlib.metadata.version("petastorm")
    except importlib.metadata.PackageNotFoundError:
        return  # a checkout on the path has no version
    if not version.startswith(_SUPPORTED):
        raise ImportError(f"the bridge runs petastorm {_SUPPORTED}x, but {version} is installed: {_EXTRA}", name="petastorm")


class _Loader(importlib.machinery.SourceFileLoader):
    """Executes one module of Petastorm with private builtins, then repairs its faults."""

    def get_code(self, fullname: str) -> CodeType | None:
        from bigdata_ml.petastorm_bridge import pandas_calls

        if fullname in pandas_calls.MODULES:
            path = self.get_filename(fullname)
            return pandas_calls.compile_routed(self.get_data(path), path)
        return super().get_code(fullname)  # Python's own cached bytecode

    def exec_module(self, module: ModuleType) -> None:
        from bigdata_ml.petastorm_bridge import pandas_calls
        from bigdata_ml.petastorm_bridge.repairs import repair

        name = module.__name__
        module.__dict__["__builtins__"] = private_builtins(name)
        if name in pandas_calls.MODULES:
            module.__dict__.update(pandas_calls.targets())
        super().exec_module(module)
        repair(name, module)


def private_builtins(importer: str) -> dict[str, Any]:
    """Return the builtins that Petastorm's module `importer` is executed with."""

    def bridged_import(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names of the function it stands for
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0:
            from bigdata_ml.petastorm_bridge.views import view_for

            view = view_for(importer, name, whole_path=bool(fromlist))
            if view is not None:
                return view
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    forwarded = {name: _forward(name) for name in _FORWARDED}
    return {**vars(builtins), **forwarded, "__import__": bridged_import}


def _forward(name: str) -> Any:
    def forward(*args: Any, **kwargs: Any) -> Any:
        return getattr(builtins, name)(*args, **kwargs)

    return forward
