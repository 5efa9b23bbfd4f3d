"""Rows of a dataset in the order of a plan: Arrow and numpy, no torch."""

from bigdata_ml.reader.cursor import Cursor
from bigdata_ml.reader.decode.columns import decode_batch
from bigdata_ml.reader.mixed_contents import MemberRows
from bigdata_ml.reader.mixture import Member, Mixture
from bigdata_ml.reader.mixture_summary import MixtureSummary, summarise_mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.plan import EpochPlan
from bigdata_ml.reader.plan_summary import PlanSummary, summarise_plan
from bigdata_ml.reader.rank import Rank
from bigdata_ml.reader.reader import Reader, open_reader
from bigdata_ml.reader.row_filter import RowFilter
from bigdata_ml.reader.row_weights import RowWeights
from bigdata_ml.reader.sequence import Sequence

__all__ = [
    "Cursor",
    "EpochPlan",
    "Member",
    "MemberRows",
    "Mixture",
    "MixtureSummary",
    "PlanSummary",
    "Rank",
    "ReadOptions",
    "Reader",
    "RowFilter",
    "RowWeights",
    "Sequence",
    "decode_batch",
    "open_reader",
    "summarise_mixture",
    "summarise_plan",
]
