"""The jars of pom.xml, and those of pyspark, from which the metastore runs."""

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from failures import ClusterFailed

__all__ = ["TARGET", "maven_jars", "pyspark_jars"]

_HERE = Path(__file__).resolve().parent
TARGET = _HERE / "target"


def maven_jars() -> Path:
    """Return target/, filled by Maven unless it was filled from this pom.xml already.

    Raises:
        ClusterFailed: Maven is missing, or failed.
    """
    pom, stamp = _HERE / "pom.xml", TARGET / "made-of"
    made_of = hashlib.sha256(pom.read_bytes()).hexdigest()
    TARGET.mkdir(exist_ok=True)
    with (TARGET / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == made_of:
            return TARGET
        if shutil.which("mvn") is None:
            raise ClusterFailed("Maven brings Hadoop's jars, and there is no mvn on the PATH: apt-get install maven")
        for old in (TARGET / "hadoop", TARGET / "pages", TARGET / "jdbc"):
            shutil.rmtree(old, ignore_errors=True)
        done = subprocess.run(
            ["mvn", "--batch-mode", "--quiet", "--file", str(pom), "package"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ClusterFailed(f"mvn package of {pom} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        stamp.write_text(made_of)
    return TARGET


def pyspark_jars() -> Path:
    """Return the directory of pyspark's jars.

    Raises:
        ClusterFailed: pyspark is missing, or has another Hive than pom.xml says.
    """
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise ClusterFailed("the metastore runs from pyspark's jars: install the extra 'spark' of bigdata_ml")
    jars = Path(found.origin).parent / "jars"
    wanted = _property("hive.version")
    if not (jars / f"hive-metastore-{wanted}.jar").exists():
        there = ", ".join(sorted(one.name for one in jars.glob("hive-metastore-*.jar"))) or "none"
        raise ClusterFailed(f"{jars}: pom.xml says that Hive is {wanted}, pyspark has {there}; change hive.version there")
    return jars


def _property(name: str) -> str:
    pom = ElementTree.parse(_HERE / "pom.xml")
    text = pom.findtext(f"{{*}}properties/{{*}}{name}")
    if text is None:
        raise ClusterFailed(f"{_HERE / 'pom.xml'}: has no property {name}")
    return text


if __name__ == "__main__":
    try:
        print(maven_jars())
    except ClusterFailed as failure:
        sys.exit(str(failure))
