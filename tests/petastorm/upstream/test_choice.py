"""A choice of Petastorm's own tests, of what the bridge and its repairs touch; all of them: make test-petastorm-upstream."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

CHOICE = [
    "hdfs/tests",
    "tests/test_codec_compressed_image.py",
    "tests/test_codec_ndarray.py",
    "tests/test_codec_scalar.py",
    "tests/test_dataset_metadata.py",
    "tests/test_decode_row.py",
    "tests/test_disk_cache.py",
    "tests/test_predicates.py",
    "tests/test_pytorch_dataloader.py",
    "tests/test_reader.py",
    "tests/test_unischema.py",
]


@pytest.mark.spark
@pytest.mark.timeout(600)
def test_petastorms_own_tests_pass_but_for_those_explained(tmp_path: Path) -> None:
    command = [sys.executable, Path(__file__).with_name("both_stacks.py"), "--results", tmp_path, *CHOICE]
    # Jobs of a few rows are over before the better compiler would pay.
    environment = {**os.environ, "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    (bridge,) = json.loads((tmp_path / "results.json").read_text())
    assert Counter(bridge["outcomes"].values()) == {"passed": 192, "failed": 3, "skipped": 1}
