"""From raw stores to a published dataset, with Spark."""

from bigdata_ml.prepare.image_job import ImageJob, prepare_images
from bigdata_ml.prepare.session import spark_session
from bigdata_ml.prepare.split import SplitRule, assign_split
from bigdata_ml.prepare.table_job import TableJob, prepare_table

__all__ = ["ImageJob", "SplitRule", "TableJob", "assign_split", "prepare_images", "prepare_table", "spark_session"]
