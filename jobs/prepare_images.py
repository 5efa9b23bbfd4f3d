"""Turn a folder of images into a dataset: `spark-submit jobs/prepare_images.py --source URL --dataset URL`."""

import sys

from bigdata_ml.cli import run_job
from bigdata_ml.prepare import ImageJob, prepare_images, spark_session

if __name__ == "__main__":
    sys.exit(run_job(ImageJob, lambda job: prepare_images(spark_session("prepare_images"), job)))
