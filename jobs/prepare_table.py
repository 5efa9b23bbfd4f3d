"""Turn a table into a dataset: `spark-submit jobs/prepare_table.py --source URL --dataset URL --label COLUMN`."""

import sys

from bigdata_ml.cli import run_job
from bigdata_ml.prepare import TableJob, prepare_table, spark_session

if __name__ == "__main__":
    sys.exit(run_job(TableJob, lambda job: prepare_table(spark_session("prepare_table", hive=job.needs_hive), job)))
