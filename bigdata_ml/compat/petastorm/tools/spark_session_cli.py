"""What programs that start Spark have in common: its master and its settings."""

import argparse
from typing import Any

__all__ = ["add_configure_spark_arguments", "configure_spark"]


def add_configure_spark_arguments(argparser: argparse.ArgumentParser) -> None:
    """Add `--master` and `--spark-session-config`."""
    argparser.add_argument("--master", help="of Spark, such as local[4]")
    argparser.add_argument("--spark-session-config", nargs="+", metavar="KEY=VALUE", help="settings of the session")


def configure_spark(spark_session_builder: Any, args: argparse.Namespace) -> Any:
    """Return a `SparkSession.Builder` with what the arguments say.

    Raises:
        ValueError: a setting that is no `key=value`.
        RuntimeError: arguments of a parser without `add_configure_spark_arguments`.
    """
    if "master" not in args or "spark_session_config" not in args:
        raise RuntimeError("the parser has no --master or --spark-session-config: call add_configure_spark_arguments on it")
    for pair in args.spark_session_config or []:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise ValueError(f"--spark-session-config takes key=value, got {pair!r}")
        spark_session_builder = spark_session_builder.config(key, value)
    return spark_session_builder.master(args.master) if args.master else spark_session_builder
