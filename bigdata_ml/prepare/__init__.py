"""From raw stores to a published dataset, with Spark."""

from bigdata_ml.prepare.image_job import ImageJob, prepare_images
from bigdata_ml.prepare.profile import TableProfile, profile_table
from bigdata_ml.prepare.rules import TableRules
from bigdata_ml.prepare.rules_file import parse_rules, read_rules
from bigdata_ml.prepare.session import spark_session
from bigdata_ml.prepare.split import SplitRule, assign_split
from bigdata_ml.prepare.table_job import TableJob, prepare_table

__all__ = [
    "ImageJob",
    "SplitRule",
    "TableJob",
    "TableProfile",
    "TableRules",
    "assign_split",
    "parse_rules",
    "prepare_images",
    "prepare_table",
    "profile_table",
    "read_rules",
    "spark_session",
]
