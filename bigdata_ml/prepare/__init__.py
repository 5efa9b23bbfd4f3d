"""From raw stores to a published dataset, with Spark."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bigdata_ml.prepare.image_job import prepare_images
    from bigdata_ml.prepare.image_options import ImageJob
    from bigdata_ml.prepare.profile import TableProfile, profile_table
    from bigdata_ml.prepare.rules import TableRules
    from bigdata_ml.prepare.rules_file import parse_rules, read_rules
    from bigdata_ml.prepare.session import spark_session
    from bigdata_ml.prepare.sources.text_format import TextFormat
    from bigdata_ml.prepare.split import SplitRule, assign_split
    from bigdata_ml.prepare.table_job import TableJob, prepare_table

# Imported when they are asked for: each of Spark's Python workers imports this module, and none of the jobs, pages and charts.
_MODULES = {
    "ImageJob": "image_options",
    "SplitRule": "split",
    "TableJob": "table_job",
    "TableProfile": "profile",
    "TableRules": "rules",
    "TextFormat": "sources.text_format",
    "assign_split": "split",
    "parse_rules": "rules_file",
    "prepare_images": "image_job",
    "prepare_table": "table_job",
    "profile_table": "profile",
    "read_rules": "rules_file",
    "spark_session": "session",
}

__all__ = [
    "ImageJob",
    "SplitRule",
    "TableJob",
    "TableProfile",
    "TableRules",
    "TextFormat",
    "assign_split",
    "parse_rules",
    "prepare_images",
    "prepare_table",
    "profile_table",
    "read_rules",
    "spark_session",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
