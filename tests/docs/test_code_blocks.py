"""Every code block of the README and of the pages in docs/ runs, in order, in a folder with the data they speak of."""

import csv
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples/demo"))

from layout import lay_out_digits, lay_out_flights  # noqa: E402

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
_BLOCK = re.compile(r"(?P<skipped><!-- not run: [^>]+ -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_LANGUAGES = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}


def blocks_of(page: Path) -> list[tuple[str, str]]:
    found = [match for match in _BLOCK.finditer(page.read_text()) if not match["skipped"]]
    return [(match["language"], match["code"]) for match in found]


@pytest.fixture(scope="module")
def raw_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    lay_out_digits(folder / "photos", seed=3)
    # A third of the digits says as much and takes a third of the time.
    for number, path in enumerate(sorted((folder / "photos").rglob("digit-????.png"))):
        if number % 3:
            path.unlink()
    lay_out_flights(folder / "whole")
    with (folder / "whole/flights.csv").open() as whole, (folder / "flights.csv").open("w", newline="") as part:
        csv.writer(part).writerows(islice(csv.reader(whole), 0, None, 40))
    (folder / "whole/planes.csv").rename(folder / "planes.csv")
    return folder


@pytest.mark.docs
@pytest.mark.spark
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=lambda page: page.name)
def test_the_code_blocks_of_the_page_run(page: Path, raw_data: Path, tmp_path: Path) -> None:
    for name in ("photos", "flights.csv", "planes.csv"):
        (tmp_path / name).symlink_to(raw_data / name)
    (tmp_path / "jobs").symlink_to(ROOT / "jobs")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYSPARK_PYTHON": sys.executable, "SPARK_CONF_DIR": str(ROOT / "conf")}
    # Jobs of a few rows are over before the better compiler would pay.
    environment["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1"
    if page.name == "dataset-format.md":
        _run("sh", "spark-submit jobs/prepare_images.py --source photos --dataset datasets/photos", tmp_path, environment)
    for language, code in blocks_of(page):
        _run(language, code, tmp_path, environment)


def _run(language: str, code: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run([*_LANGUAGES[language], code], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{code}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"


def test_every_block_names_a_language_that_is_run() -> None:
    languages = {language for page in PAGES for language in re.findall(r"^```(\w+)$", page.read_text(), re.MULTILINE)}
    assert languages <= _LANGUAGES.keys()


def test_every_fence_belongs_to_a_block_that_names_its_language() -> None:
    for page in PAGES:
        text = page.read_text()
        assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(_BLOCK.findall(text)), page.name


def test_pages_link_to_files_that_are_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
