"""Petastorm can be taken out: without its four folders, the rest of the package imports, reads and publishes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bigdata_ml

FOLDERS = ("compat", "petastorm_bridge", "reader/petastorm", "dataset/petastorm")

IMPORTS_EVERY_MODULE = """
import importlib, pkgutil, bigdata_ml
names = [module.name for module in pkgutil.walk_packages(bigdata_ml.__path__, "bigdata_ml.")]
assert not [name for name in names if "petastorm" in name or ".compat" in name], names
for name in names:
    if not name.endswith(".__main__"):
        importlib.import_module(name)
print(bigdata_ml.__file__, len(names))
"""

READS_AND_PUBLISHES = """
import sys
from tiny import publish_dataset
from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.errors import EngineUnavailable
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions

plain, published = sys.argv[1:]
ids = [i for batch in make_loader(Dataset.open(plain), ReadOptions(seed=1), global_batch_size=4) for i in batch["id"].tolist()]
assert sorted(ids) == list(range(20))
publish_dataset(published)
dataset = Dataset.open(published)
assert list(validate(published)) == []
try:
    make_loader(dataset, ReadOptions(engine="petastorm"), global_batch_size=4)
except EngineUnavailable as error:
    print(dataset.rows, error)
"""


@pytest.fixture(scope="module")
def without_petastorm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package, but without Petastorm's folders."""
    home = tmp_path_factory.mktemp("without_petastorm")
    package = Path(bigdata_ml.__file__).parent
    shutil.copytree(package, home / "bigdata_ml", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in FOLDERS:
        shutil.rmtree(home / "bigdata_ml" / folder)
    return home


def run(home: Path, program: str, *arguments: object) -> str:
    """Run a program with the package at `home`, and the tests' small datasets, on its path."""
    tests = Path(__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{tests}"},
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_other_module_imports(without_petastorm: Path) -> None:
    file, modules = run(without_petastorm, IMPORTS_EVERY_MODULE).split()
    assert Path(file).is_relative_to(without_petastorm)
    assert int(modules) > 200


def test_datasets_are_read_published_and_validated(without_petastorm: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    pq.write_table(pa.table({"id": range(20)}), tmp_path / "plain/a.parquet", row_group_size=5)
    rows, _, error = run(without_petastorm, READS_AND_PUBLISHES, tmp_path / "plain", tmp_path / "made").partition(" ")
    assert not (tmp_path / "made/_common_metadata").exists()
    assert int(rows) == 71
    assert "engine='petastorm'" in error
    assert "engine='arrow'" in error
