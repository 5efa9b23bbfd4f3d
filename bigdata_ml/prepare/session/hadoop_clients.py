"""What Spark reads by Hadoop's clients: S3 by S3A, set up from AWS's own variables as our client is; WebHDFS where it can."""

import os
from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from bigdata_ml.errors import JobRefused

__all__ = ["hadoop_url", "s3a_settings", "set_s3a"]

_KEYS = {
    "fs.s3a.access.key": "AWS_ACCESS_KEY_ID",
    "fs.s3a.secret.key": "AWS_SECRET_ACCESS_KEY",
    "fs.s3a.session.token": "AWS_SESSION_TOKEN",
}
_DEFAULTS = "core-default.xml"
# Where Hadoop says a setting comes from; Spark says the same of those it takes from the environment when it starts.
_FROM = "from AWS_"
_SHADED = "org.apache.hadoop.shaded"


def hadoop_url(spark: SparkSession, url: str) -> str:
    """Return the URL by which Spark's Hadoop knows the place, which it is made to reach: S3 is `s3a` there.

    Endpoint, region and keys of S3 are those of AWS's variables; what the user has set stays.

    Raises:
        JobRefused: Spark has not the jars to read there.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "s3":
        _prepare_s3a(spark, url)
        return f"s3a://{rest}"
    if scheme == "webhdfs":
        _check_webhdfs(spark, url)
    return url


def _prepare_s3a(spark: SparkSession, url: str) -> None:
    if not _has(spark, "org.apache.hadoop.fs.s3a.S3AFileSystem"):
        package = f"org.apache.hadoop:hadoop-aws:{_version(spark)}"
        raise JobRefused(
            f"{url}: Spark reads this from S3 by Hadoop's S3A, which is not among its jars; "
            f"run spark-submit --packages {package} …, or set spark.jars.packages to {package} before Spark starts"
        )
    set_s3a(_configuration(spark), s3a_settings(os.environ))


def _check_webhdfs(spark: SparkSession, url: str) -> None:
    # Of the jars that Hadoop 3.5.0 packs for clients, and pyspark brings, half of what WebHDFS needs was left out.
    needed = (f"{_SHADED}.javax.ws.rs.ext.RuntimeDelegate", f"{_SHADED}.org.glassfish.jersey.internal.RuntimeDelegateImpl")
    if [_has(spark, class_name) for class_name in needed] == [True, False]:
        raise JobRefused(
            f"{url}: Spark reads this by its own Hadoop, {_version(spark)}, which cannot read WebHDFS (it has no {needed[1]}); "
            "give the place as hdfs://NAMENODE:PORT/…"
        )


def _configuration(spark: SparkSession) -> Any:
    return spark.sparkContext._jsc.hadoopConfiguration()


def _has(spark: SparkSession, name: str) -> bool:
    return _configuration(spark).getClassByNameOrNull(name) is not None


def _version(spark: SparkSession) -> str:
    jvm: Any = spark._jvm
    return str(jvm.org.apache.hadoop.util.VersionInfo.getVersion())


def s3a_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return Hadoop's settings that say what AWS's variables say.

    >>> s3a_settings({"AWS_DEFAULT_REGION": "eu-west-1"})
    {'fs.s3a.endpoint.region': 'eu-west-1'}
    """
    given = {name: value for name, value in environment.items() if value}
    settings = {name: given[variable] for name, variable in _KEYS.items() if variable in given}
    region = given.get("AWS_DEFAULT_REGION", given.get("AWS_REGION"))
    endpoint = given.get("AWS_ENDPOINT_URL_S3", given.get("AWS_ENDPOINT_URL"))
    if endpoint is not None:
        settings["fs.s3a.endpoint"] = endpoint
        # Other servers seldom have a host name for each bucket, and expect the region that clients name by default.
        settings["fs.s3a.path.style.access"] = "true"
        settings["fs.s3a.connection.ssl.enabled"] = str(not endpoint.startswith("http://")).lower()
        region = region or "us-east-1"
    if region is not None:
        settings["fs.s3a.endpoint.region"] = region
    return settings


def set_s3a(hadoop: Any, settings: Mapping[str, str]) -> None:
    """Set what is not set by the user in Hadoop's configuration, an object of the JVM.

    Keys are set there, where Spark itself puts those of its environment: they reach executors, and its pages do not show them.
    """
    for name, value in settings.items():
        sources = list(hadoop.getPropertySources(name) or [])
        if all(source == _DEFAULTS or _FROM in source for source in sources):
            hadoop.set(name, value, f"set by bigdata_ml {_FROM}…")
