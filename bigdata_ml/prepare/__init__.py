"""Prepares datasets with Spark: reads raw sources, cleans them and publishes the result."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bigdata_ml.prepare.images.job import prepare_images
    from bigdata_ml.prepare.images.options import ImageJob
    from bigdata_ml.prepare.session.spark import spark_session
    from bigdata_ml.prepare.sources.text_files.format import TextFormat
    from bigdata_ml.prepare.split.by_hash import SplitRule, assign_split
    from bigdata_ml.prepare.tables.job import prepare_table
    from bigdata_ml.prepare.tables.options import TableJob
    from bigdata_ml.prepare.tables.profile.profile import TableProfile, profile_table
    from bigdata_ml.prepare.tables.rules.model import TableRules
    from bigdata_ml.prepare.tables.rules.yaml_file import parse_rules, read_rules

# Imported on first use: every Python worker of Spark imports this module, but needs no jobs, pages or charts.
_MODULES = {
    "ImageJob": "images.options",
    "SplitRule": "split.by_hash",
    "TableJob": "tables.options",
    "TableProfile": "tables.profile.profile",
    "TableRules": "tables.rules.model",
    "TextFormat": "sources.text_files.format",
    "assign_split": "split.by_hash",
    "parse_rules": "tables.rules.yaml_file",
    "prepare_images": "images.job",
    "prepare_table": "tables.job",
    "profile_table": "tables.profile.profile",
    "read_rules": "tables.rules.yaml_file",
    "spark_session": "session.spark",
}

__all__ = [
    "ImageJob", "SplitRule", "TableJob", "TableProfile", "TableRules", "TextFormat", "assign_split", "parse_rules",
    "prepare_images", "prepare_table", "profile_table", "read_rules", "spark_session",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
