"""The contract on disk: what a job writes and a loader enforces."""

import importlib
from typing import TYPE_CHECKING, Any

from bigdata_ml.dataset.dataset import Dataset
from bigdata_ml.dataset.head import first_rows
from bigdata_ml.dataset.manifest import Cleaning, Manifest, SplitSummary, Statistics, Vocabulary
from bigdata_ml.dataset.publishing.adopt import adopt
from bigdata_ml.dataset.publishing.garbage import collect_garbage
from bigdata_ml.dataset.publishing.publish import Contract, Staging, publish, stage
from bigdata_ml.dataset.quarantine import QUARANTINE_SCHEMA, QuarantineWriter
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.dataset.validate import Finding, validate
from bigdata_ml.dataset.writer import PartFile, PartWriter, WriteOptions

if TYPE_CHECKING:
    from bigdata_ml.dataset.petastorm.metadata import read_petastorm_indexes, read_petastorm_row_groups, read_petastorm_schema
    from bigdata_ml.dataset.petastorm.schema import PetastormCodec, PetastormField, PetastormIndex, PetastormSchema

# Imported on first use, because an installation may lack `dataset/petastorm`.
_PETASTORM = {
    "PetastormCodec": "schema",
    "PetastormField": "schema",
    "PetastormIndex": "schema",
    "PetastormSchema": "schema",
    "read_petastorm_indexes": "metadata",
    "read_petastorm_row_groups": "metadata",
    "read_petastorm_schema": "metadata",
}

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
    if name not in _PETASTORM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.petastorm.{_PETASTORM[name]}"), name)
