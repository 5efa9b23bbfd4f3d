"""The dataset format on disk: jobs write it, loaders verify it."""

from typing import TYPE_CHECKING, Any

from bigdata_ml.dataset.dataset import Dataset
from bigdata_ml.dataset.field_summary import Statistics, Vocabulary
from bigdata_ml.dataset.head import first_rows
from bigdata_ml.dataset.manifest import Cleaning, Manifest, SplitSummary
from bigdata_ml.dataset.optional import NAMES, load_name
from bigdata_ml.dataset.publishing.adopt import adopt
from bigdata_ml.dataset.publishing.garbage import collect_garbage
from bigdata_ml.dataset.publishing.publish import Contract, publish
from bigdata_ml.dataset.publishing.staging import Staging, stage
from bigdata_ml.dataset.quarantine import QUARANTINE_SCHEMA, QuarantineWriter
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.dataset.validate import Finding, validate
from bigdata_ml.dataset.writer import PartFile, PartWriter, WriteOptions

if TYPE_CHECKING:
    from bigdata_ml.dataset.petastorm.metadata import read_petastorm_indexes, read_petastorm_row_groups, read_petastorm_schema
    from bigdata_ml.dataset.petastorm.schema import PetastormCodec, PetastormField, PetastormIndex, PetastormSchema

__all__ = [
    "QUARANTINE_SCHEMA",
    "Cleaning",
    "Contract",
    "Dataset",
    "Finding",
    "Manifest",
    "PartFile",
    "PartWriter",
    "PetastormCodec",
    "PetastormField",
    "PetastormIndex",
    "PetastormSchema",
    "QuarantineWriter",
    "RowGroups",
    "SplitSummary",
    "Staging",
    "Statistics",
    "Vocabulary",
    "WriteOptions",
    "adopt",
    "collect_garbage",
    "first_rows",
    "publish",
    "read_petastorm_indexes",
    "read_petastorm_row_groups",
    "read_petastorm_schema",
    "stage",
    "validate",
]


def __getattr__(name: str) -> Any:
    """Import Petastorm's names on first use."""
    if name in NAMES:
        return load_name(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
