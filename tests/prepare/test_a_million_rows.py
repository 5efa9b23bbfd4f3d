"""A million images in a heap of 1 GiB: the memory for grouping and storing them is bounded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.spark, pytest.mark.long, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
ROWS = 1_000_000
PROGRAM = f"""
from pyspark import StorageLevel
from pyspark.sql import functions as F

from bigdata_ml.prepare import spark_session
from bigdata_ml.prepare.images.steps import bring_together, judge_bytes, with_verdicts
from bigdata_ml.prepare.images.inspect import INSPECTED

spark = spark_session("million")
number = F.col("id")
digests = [F.sha2((number + part).cast("string"), 256) for part in range(16)]
known = {{
    "path": F.concat(F.lit("all.tar!/"), number.cast("string")),
    "label": (number % 10).cast("string"),
    "content": F.encode(F.concat(*digests), "utf-8"),
    "sha256": F.sha2(number.cast("string"), 256),
    "warnings": F.array(),
    "sums": F.array(number, number, number),
    "squares": F.array(number, number, number),
    "looks_like": F.xxhash64(number),
}}
columns = [known.get(field.name, F.lit(None)).cast(field.dataType).alias(field.name) for field in INSPECTED]
rows = spark.range(0, {ROWS}, 1, 100).select(*columns)
together = bring_together(rows, seed=0, partitions=4)
together.persist(StorageLevel.DISK_ONLY)
facts = judge_bytes(together, labels=True, conflicts="refuse")
facts.persist(StorageLevel.MEMORY_AND_DISK)
divided = facts.withColumn("split", F.lit("train"))
judged = with_verdicts(together, divided, partitions=4, repeated=False).sortWithinPartitions("__place", "sha256", "path")
print("judged", judged.where("reason is null").select(F.sum(F.length("content"))).collect()[0][0])
"""


def test_a_million_images_are_grouped_in_a_heap_of_one_gibibyte(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    submit = [Path(sys.executable).with_name("spark-submit"), "--master", "local[2]", "--driver-memory", "1g"]
    confs = ["--conf", "spark.ui.enabled=false", "--conf", f"spark.local.dir={tmp_path / 'spark'}"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(REPOSITORY)}
    command = list(map(str, [*submit, *confs, tmp_path / "program.py"]))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"judged {ROWS * 1024}" in done.stdout
