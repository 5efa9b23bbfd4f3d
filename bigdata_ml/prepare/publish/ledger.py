"""Writes the ledger: a row for each source file, with what was found out about it by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.dataset import Staging
from bigdata_ml.dataset.publishing.ledger import LEDGER_SCHEMA, LedgerWriter
from bigdata_ml.prepare.sources.listing import LISTED, Listing
from bigdata_ml.storage import locate

__all__ = ["listed_rows", "write_ledger"]

# A task that reads a ledger holds its file: some 40 MB of so many rows.
_FILE_ROWS = 200_000


def listed_rows(spark: SparkSession, listing: Listing) -> DataFrame:
    """Return the listing's files, columns `LISTED`."""
    return spark.createDataFrame(listing.files, ", ".join(f"{name} {kind}" for name, kind in _LISTED))


_LISTED = [(field.name, "string" if field.type == pa.string() else "long") for field in LISTED]


def write_ledger(facts: DataFrame, listing: Listing, staging: Staging, about: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the ledgers of a version that is about to be published; returns their paths. Runs a Spark job.

    Args:
        facts: all files, judged, without their bytes; `inspected` holds reason, detail and warnings as they were before files
            were compared.
        listing: of the files.
        staging: where they are written.
        about: JSON values that hold for all files.
    """
    spark: SparkSession = facts.sparkSession
    found = {"stored": F.col("reason").isNull(), **{name: F.col(f"inspected.{name}") for name in _BEFORE}}
    columns = [found[name].alias(name) if name in found else F.col(name) for name in LEDGER_SCHEMA.names]
    rows = facts.join(listed_rows(spark, listing), on="path", how="inner").select(*columns)
    files = -(-listing.files.num_rows // _FILE_ROWS)
    written = rows.coalesce(files).mapInArrow(_Task(staging.root.url, staging.suffix, dict(about)), "path string").collect()
    return tuple(sorted(row["path"] for row in written))


_BEFORE = ("reason", "detail", "warnings")


@dataclass(frozen=True, slots=True)
class _Task:
    """The function that runs on the executors: one partition in, its ledger's path out."""

    url: str
    suffix: str
    about: dict[str, Any]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        writer: LedgerWriter | None = None
        context = TaskContext.get()
        name = f"part-{context.partitionId():05d}-{context.taskAttemptId()}" if context else "part-00000-0"
        for batch in batches:
            writer = writer or LedgerWriter(locate(self.url), f"{name}{self.suffix}.arrow", self.about)
            writer.write(batch)
        if writer is not None:
            writer.close()
            yield pa.RecordBatch.from_pydict({"path": [writer.path]})
