"""The command line `bigdata-ml`, and the parsing of jobs."""

from bigdata_ml.cli.commands import main
from bigdata_ml.cli.running import run_job

__all__ = ["main", "run_job"]
