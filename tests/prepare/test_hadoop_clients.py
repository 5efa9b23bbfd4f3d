"""What Spark's Hadoop is told of S3, and what is said where it lacks a jar; tests/cluster reads from servers."""

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pyspark")

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.hadoop_clients import s3a_settings, set_s3a
from bigdata_ml.prepare.session.spark import spark_path
from bigdata_ml.storage import locate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEYS = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": ""}


@pytest.mark.parametrize(
    ("environment", "settings"),
    [
        ({}, {}),
        (KEYS, {"access.key": "me", "secret.key": "secret"}),
        ({"AWS_SESSION_TOKEN": "short"}, {"session.token": "short"}),
        ({"AWS_REGION": "eu-west-1"}, {"endpoint.region": "eu-west-1"}),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, {"endpoint.region": "eu-west-2"}),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_REGION": "home"},
            {
                "endpoint": "http://127.0.0.1:9000",
                "path.style.access": "true",
                "connection.ssl.enabled": "false",
                "endpoint.region": "home",
            },
        ),
        (
            {"AWS_ENDPOINT_URL": "http://other", "AWS_ENDPOINT_URL_S3": "https://store:9000"},
            {
                "endpoint": "https://store:9000",
                "path.style.access": "true",
                "connection.ssl.enabled": "true",
                "endpoint.region": "us-east-1",
            },
        ),
    ],
)
def test_what_awss_variables_say_is_said_to_hadoop(environment: dict[str, str], settings: dict[str, str]) -> None:
    assert s3a_settings(environment) == {f"fs.s3a.{name}": value for name, value in settings.items()}


@pytest.mark.spark
def test_what_the_user_has_set_stays_and_what_spark_took_from_the_environment_does_not(spark: "SparkSession") -> None:
    hadoop = spark._jvm.org.apache.hadoop.conf.Configuration()
    hadoop.set("fs.s3a.endpoint.region", "mine")
    hadoop.set("fs.s3a.endpoint", "http://old", "Set by Spark on here from AWS_ENDPOINT_URL")
    for port in (1, 2):
        set_s3a(hadoop, s3a_settings({"AWS_ENDPOINT_URL": f"http://new:{port}", "AWS_REGION": "other"}))
        assert hadoop.get("fs.s3a.endpoint") == f"http://new:{port}"
        assert hadoop.get("fs.s3a.path.style.access") == "true"
        assert hadoop.get("fs.s3a.endpoint.region") == "mine"


@pytest.mark.spark
def test_spark_without_s3a_is_refused_with_the_package_that_brings_it(spark: "SparkSession") -> None:
    version = spark._jvm.org.apache.hadoop.util.VersionInfo.getVersion()
    with pytest.raises(JobRefused, match=rf"s3://bucket/a\.csv: .*--packages org\.apache\.hadoop:hadoop-aws:{version} "):
        spark_path(spark, locate("s3://bucket/a.csv"))
