"""The bridge touches nobody but Petastorm, and says plainly why it cannot work."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bridging import bridged, run

pytestmark = pytest.mark.processes

NAMESPACES = """
import importlib, json, sys
import pyspark.ml, pyspark.sql

NAMES = ["builtins", "cv2", "dill", "numpy", "pandas", "pickle", "pyarrow", "pyarrow.fs", "pyarrow.lib", "pyarrow.parquet",
         "pyspark", "pyspark.serializers", "six.moves", "subprocess"]

def namespaces():
    return {name: dict(vars(importlib.import_module(name))) for name in NAMES}

# six makes its modules' contents when they are first asked for.
for name in ("cPickle", "queue", "range", "urllib", "xrange"):
    getattr(importlib.import_module("six.moves"), name)
importlib.import_module("pyarrow").array([1]).take([0])  # and pyarrow.lib remembers its compute module at the first call
before, modules = namespaces(), set(sys.modules)
import bigdata_ml.petastorm_bridge
import petastorm.reader, petastorm.pytorch, petastorm.spark, petastorm.spark_utils, petastorm.codecs
import petastorm.etl.rowgroup_indexing, petastorm.hdfs.namenode, petastorm.weighted_sampling_reader

even = petastorm.predicates.in_lambda(["id"], lambda id: id % 2 == 0)
with petastorm.make_batch_reader(sys.argv[1], reader_pool_type="thread", predicate=even) as reader:
    rows = sum(len(batch.id) for batch in reader)
after = namespaces()

def is_own_submodule(name, key):
    # A package gets an attribute when one of its own modules is imported for the first time.
    return key not in before[name] and sys.modules.get(f"{name}.{key}") is after[name][key]

def changed_names(name):
    names = [key for key in {**before[name], **after[name]} if before[name].get(key) is not after[name].get(key)]
    return sorted(key for key in names if not is_own_submodule(name, key))

changed = {name: changed_names(name) for name in NAMES}
print(json.dumps([rows, {name: keys for name, keys in changed.items() if keys},
                  [name for name in set(sys.modules) - modules if name.startswith(("distutils", "numpy.", "pyarrow."))]]))
"""


def test_no_namespace_but_petastorms_own_is_changed(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": range(100), "word": ["a", None] * 50}), tmp_path / "rows.parquet", row_group_size=10)
    rows, changed, new_modules = json.loads(run(NAMESPACES, f"file://{tmp_path}/rows.parquet"))
    assert rows == 50
    assert changed == {}
    # pyarrow loads modules of its own when they are needed; the removed ones are not among them.
    assert {"pyarrow.filesystem", "pyarrow.hdfs", "pyarrow.localfs", "distutils"}.isdisjoint(new_modules)


def test_nothing_is_imported_before_petastorm_is() -> None:
    code = "import sys, bigdata_ml.petastorm_bridge; print(*{name.partition('.')[0] for name in sys.modules})"
    assert {"pyarrow", "numpy", "pandas", "petastorm", "torch", "pyspark"}.isdisjoint(run(code).split())


def test_other_programs_imports_go_on_as_they_did() -> None:
    code = """
import bigdata_ml.petastorm_bridge, petastorm, pyarrow, numpy, importlib.util
print(importlib.util.find_spec("pyarrow.filesystem"), hasattr(pyarrow, "hdfs"), hasattr(numpy, "unicode_"), __import__.__name__)
"""
    assert run(code) == "None False False __import__"


def package(folder: Path, *, version: str | None = None) -> Path:
    """An empty package petastorm, and the record of its installation where a version is given."""
    (folder / "petastorm").mkdir(parents=True)
    (folder / "petastorm/__init__.py").write_text("")
    if version:
        (folder / f"petastorm-{version}.dist-info").mkdir()
        (folder / f"petastorm-{version}.dist-info/METADATA").write_text(
            f"Metadata-Version: 2.1\nName: petastorm\nVersion: {version}\n"
        )
    return folder


def test_a_bridge_that_comes_too_late_says_so(tmp_path: Path) -> None:
    code = """
import sys; sys.path.insert(0, sys.argv[1])
import petastorm
try:
    import bigdata_ml.petastorm_bridge
except ImportError as error:
    print(error)
"""
    said = run(code, package(tmp_path))
    assert "imported before" in said
    assert "python -m bigdata_ml.petastorm_bridge" in said


def test_a_second_import_is_no_fault() -> None:
    code = """
import sys, bigdata_ml.petastorm_bridge as bridge, petastorm
bridge.install()
print(sum(type(finder).__module__.startswith("bigdata_ml") for finder in sys.meta_path))
"""
    assert run(code) == "1"


def test_a_missing_petastorm_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "petastorm").mkdir()  # a folder of that name is no package
    code = """
import sys; sys.path[:] = [place for place in sys.path if "-packages" not in place] + sys.argv[1:]
import bigdata_ml.petastorm_bridge
try:
    import petastorm
except ModuleNotFoundError as error:
    print(error.name, error)
"""
    said = run(code, Path(__file__).parents[2], tmp_path)
    assert said.startswith("petastorm petastorm is not installed")
    assert "bigdata_ml[petastorm]" in said


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    code = """
import sys; sys.path.insert(0, sys.argv[1])
import bigdata_ml.petastorm_bridge
try:
    import petastorm
except ImportError as error:
    print(error)
"""
    assert "0.12.1 is installed" in run(code, package(tmp_path, version="0.12.1"))


def test_a_script_runs_as_the_main_program_with_its_own_arguments(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("NUMBER = 5\n")
    (tmp_path / "program.py").write_text(
        "import sys, beside, petastorm; print(__name__, sys.argv[1:], beside.NUMBER, petastorm.__version__)\n"
    )
    done = bridged(tmp_path / "program.py", "--flag", "value")
    assert done.stdout.strip() == "__main__ ['--flag', 'value'] 5 0.13.1", done.stderr


def test_a_module_of_petastorm_runs_as_the_main_program() -> None:
    done = bridged("-m", "petastorm.etl.metadata_util", "--help")
    assert "usage" in done.stdout, done.stderr


def test_a_call_without_a_program_shows_the_usage() -> None:
    done = bridged()
    assert (done.returncode, done.stdout) == (2, "")
    assert "SCRIPT.py" in done.stderr
