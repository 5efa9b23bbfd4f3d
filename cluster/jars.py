"""The jars of pom.xml and s3a.xml, and those of pyspark, from which the metastore runs."""

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from failures import ClusterFailed

__all__ = ["TARGET", "maven_jars", "pyspark_jars", "s3a_jars"]

_HERE = Path(__file__).resolve().parent
TARGET = _HERE / "target"
_CLUSTER, _S3A = _HERE / "pom.xml", _HERE / "s3a.xml"


def maven_jars() -> Path:
    """Return target/, filled by Maven unless it was filled from this pom.xml already.

    Raises:
        ClusterFailed: Maven is missing, or failed.
    """
    _fill(_CLUSTER, "hadoop", "pages", "jdbc", stamp="made-of")
    return TARGET


def s3a_jars() -> list[Path]:
    """Return the jars by which pyspark's Hadoop reads S3, fetched by Maven unless they are there.

    Raises:
        ClusterFailed: Maven is missing, or failed; pyspark is missing, or has another Hadoop than s3a.xml says.
    """
    _check_pyspark("hadoop-client-api", _S3A, "hadoop.version")
    _fill(_S3A, "s3a", stamp="s3a-made-of")
    return sorted((TARGET / "s3a").glob("*.jar"))


def _fill(pom: Path, *folders: str, stamp: str) -> None:
    """Have Maven make these folders of target/, unless it made them from this file already."""
    noted = TARGET / stamp
    made_of = hashlib.sha256(pom.read_bytes()).hexdigest()
    TARGET.mkdir(exist_ok=True)
    with (TARGET / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if noted.exists() and noted.read_text() == made_of:
            return
        if shutil.which("mvn") is None:
            raise ClusterFailed("Maven brings Hadoop's jars, and there is no mvn on the PATH: apt-get install maven")
        for old in folders:
            shutil.rmtree(TARGET / old, ignore_errors=True)
        done = subprocess.run(
            ["mvn", "--batch-mode", "--quiet", "--file", str(pom), "package"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ClusterFailed(f"mvn package of {pom} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        noted.write_text(made_of)


def pyspark_jars() -> Path:
    """Return the directory of pyspark's jars.

    Raises:
        ClusterFailed: pyspark is missing, or has another Hive than pom.xml says.
    """
    return _check_pyspark("hive-metastore", _CLUSTER, "hive.version")


def _check_pyspark(jar: str, pom: Path, version: str) -> Path:
    """Return the directory of pyspark's jars; raise ClusterFailed unless one is of the version that a pom's property says."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise ClusterFailed("the metastore and S3A run from pyspark's jars: install the extra 'spark' of bigdata_ml")
    jars = Path(found.origin).parent / "jars"
    wanted = _property(pom, version)
    if not (jars / f"{jar}-{wanted}.jar").exists():
        there = ", ".join(sorted(one.name for one in jars.glob(f"{jar}-*.jar"))) or "none"
        raise ClusterFailed(f"{jars}: {pom.name} wants {jar} {wanted}, pyspark has {there}; change {version} there")
    return jars


def _property(pom: Path, name: str) -> str:
    text = ElementTree.parse(pom).findtext(f"{{*}}properties/{{*}}{name}")
    if text is None:
        raise ClusterFailed(f"{pom}: has no property {name}")
    return text


if __name__ == "__main__":
    try:
        print(maven_jars(), *s3a_jars(), sep="\n")
    except ClusterFailed as failure:
        sys.exit(str(failure))
