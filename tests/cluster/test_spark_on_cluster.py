"""The jobs as they are submitted: from HDFS to HDFS, in Spark's local mode and on YARN; tables in the Hive metastore."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyspark
import pytest
from native import Cluster
from PIL import Image

from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.storage import list_tree, locate

ROOT = Path(__file__).parents[2]
SPARK_SUBMIT = Path(pyspark.__file__).parent / "bin/spark-submit"
SMALL = ["--driver-memory", "512m", "--executor-memory", "512m", "--conf", "spark.yarn.am.memory=512m"]
PLACES = [
    "--conf",
    "spark.driver.host=127.0.0.1",
    "--conf",
    "spark.driver.bindAddress=127.0.0.1",
    "--conf",
    "spark.ui.enabled=false",
]
ON_YARN = ["--master", "yarn", "--num-executors", "1", "--conf", f"spark.yarn.jars=local:{Path(pyspark.__file__).parent}/jars/*"]

HIVE_TABLE = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.enableHiveSupport().getOrCreate()
if sys.argv[1] == "write":
    rows = spark.createDataFrame([("ant", 6), ("bee", 6), ("cow", 4)], "name string, legs int")
    rows.write.partitionBy("legs").saveAsTable("animals")
else:
    found = [tuple(row) for row in spark.sql("select legs, count(*) from animals group by legs order by legs").collect()]
    if found != [(4, 1), (6, 2)]:
        raise SystemExit(f"found {found}")
"""

pytestmark = pytest.mark.spark


@pytest.fixture
def pictures(hadoop: Cluster, tmp_path: Path) -> str:
    """The URL of 24 pictures of two classes, and one file that is none, on HDFS."""
    root = locate(f"{hadoop.hdfs}/pictures/{tmp_path.name}")
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 255, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "picture.png")
        (root / f"{'ant' if number % 2 else 'bee'}/{number}.png").write_bytes((tmp_path / "picture.png").read_bytes())
    (root / "ant/none.png").write_bytes(b"no picture")
    return root.url


def submit(cluster: Cluster, *arguments: str) -> None:
    environment = {
        **os.environ,
        "HADOOP_CONF_DIR": str(cluster.conf_dir),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    }
    command = [SPARK_SUBMIT, *SMALL, *PLACES, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("master", ["local", "yarn"])
def test_a_job_reads_and_publishes_on_hdfs(hadoop: Cluster, pictures: str, master: str, request: pytest.FixtureRequest) -> None:
    where = ["--master", "local[2]"]
    if master == "yarn":
        request.getfixturevalue("yarn")
        where = [*ON_YARN, "--conf", f"spark.executorEnv.PYTHONPATH={ROOT}"]
    output = f"{pictures}-{master}"
    submit(hadoop, *where, str(ROOT / "jobs/prepare_images.py"), "--source", pictures, "--dataset", output)
    assert validate(output) == []
    dataset = Dataset.open(output)
    assert (dataset.rows, sum(dataset.manifest.cleaning.refused.values())) == (24, 1)


@pytest.mark.timeout(600)
def test_a_table_of_one_session_is_read_by_another_through_the_metastore(hive: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "table.py"
    script.write_text(HIVE_TABLE)
    submit(hive, "--master", "local[1]", str(script), "write")
    files = [one.path for one in list_tree(locate(f"{hive.hdfs}/warehouse/animals")).visible]
    assert {path.partition("/")[0] for path in files} == {"legs=4", "legs=6"}
    submit(hive, "--master", "local[1]", str(script), "read")
