"""What a run cost and what came of it: its files, its meter, and the page that shows them. No torch, no Spark."""

from bigdata_ml.report.cost import Cost, cost_of
from bigdata_ml.report.meter import Meter, peak_rss_mb
from bigdata_ml.report.page import Report, write_report
from bigdata_ml.report.records import Baseline, DatasetRecord, EpochRecord, RunRecord
from bigdata_ml.report.summary import summarise
from bigdata_ml.report.tracker import Epochs, RunDirectory, write_baseline

__all__ = [
    "Baseline",
    "Cost",
    "DatasetRecord",
    "EpochRecord",
    "Epochs",
    "Meter",
    "Report",
    "RunDirectory",
    "RunRecord",
    "cost_of",
    "peak_rss_mb",
    "summarise",
    "write_baseline",
    "write_report",
]
