"""What the version that is there knows of a source's files, so that only new and changed ones need be read.

A file is known if its path, size and time of change are those of the ledger, and if that time lies clearly before the listing
from which it was taken: one that is changed again within the clock's grain would look unchanged (git's "racy" entries).
"""

import hashlib
import importlib.metadata
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml import __version__
from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.layout import MANIFEST
from bigdata_ml.dataset.manifest import Manifest, SideFile
from bigdata_ml.dataset.publishing.ledger import LEDGER_SCHEMA, about_ledger, ledger_batches
from bigdata_ml.dataset.quarantine import read_quarantine
from bigdata_ml.errors import DatasetInvalid, JobRefused
from bigdata_ml.prepare.images import checks as image_checks
from bigdata_ml.prepare.images import decode as picture
from bigdata_ml.prepare.images import encode as stored_picture
from bigdata_ml.prepare.images import inspect as images
from bigdata_ml.prepare.images.duplicates import perceptual_hash
from bigdata_ml.prepare.images.incremental.stored_bytes import stored_bytes
from bigdata_ml.prepare.images.inspect import Inspection
from bigdata_ml.prepare.publish.ledger import listed_rows
from bigdata_ml.prepare.sources.listing import Listing
from bigdata_ml.schema import Codec, picture_file
from bigdata_ml.storage import Location, locate

__all__ = ["KnownFiles", "about_inspection", "known_files"]

# Stores tell the time of change to the second at worst (S3), and machines' clocks differ.
_RACY_NS = 2_000_000_000
_DECODERS = ("pillow", "simplejpeg", "numpy")
_CODE = (image_checks, images, perceptual_hash, picture, picture_file, stored_picture)
_WAY_OUT = "run without --incremental, which reads nothing of the version that is there"


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """What need not be found out again.

    Attributes:
        facts: columns of `INSPECTED` but for `label`; `content` is empty for refused files, null for the others.
        stored: columns `sha256` and `stored`: what the version that is there stores of each content, at least once.
        to_read: path and size of every other file.
        counts: files `unchanged`, `new`, `changed` and `gone` since, and `read`: those of `to_read`.
        as_pixels: whether what is stored are pixels, so that the files' own bytes cannot be had of it.
    """

    facts: DataFrame
    stored: DataFrame
    to_read: list[tuple[str, int]]
    counts: Mapping[str, int]
    as_pixels: bool


def about_inspection(inspection: Inspection, listing: Listing) -> dict[str, Any]:
    """Return, as JSON values, where and when files were listed, and all on which depends what is found out about one."""
    decoders = {name: importlib.metadata.version(name) for name in _DECODERS}
    # A version's number may stand for several states of the code.
    code = hashlib.sha256("".join(map(inspect.getsource, _CODE)).encode()).hexdigest()
    versions = {"bigdata_ml": __version__, "code": code, **decoders}
    return {"root": listing.root.url, "listed": listing.when, **_jsonable(asdict(inspection)), "versions": versions}


@contextmanager
def known_files(
    spark: SparkSession, destination: Location, listing: Listing, about: Mapping[str, Any], *, raw: bool
) -> Iterator[KnownFiles | str]:
    """Give what the version at `destination` knows of the files, or why nothing of it can be used; runs Spark jobs.

    Args:
        spark: the session.
        destination: of the dataset; nothing need be there.
        listing: of the source, now.
        about: what `about_inspection` says of this job.
        raw: whether the content of an inspected file is its pixels.

    Raises:
        JobRefused: metadata of the version that is there that are damaged.
    """
    earlier = _earlier(destination, about)
    if isinstance(earlier, str):
        yield earlier
        return
    dataset, manifest, listed = earlier
    ledger = _ledger_rows(spark, destination, manifest)
    now = listed_rows(spark, listing)
    held = ledger.where("stored").select("sha256").distinct().withColumn("held", F.lit(True))
    same = ledger.join(now, on=["path", "size", "modified"], how="left_semi").where(F.col("modified") < listed - _RACY_NS)
    known = same.join(held, on="sha256", how="left").where(F.col("reason").isNotNull() | F.col("held"))
    known = known.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        rest = now.join(known.select("path"), on="path", how="left_anti").orderBy("path").select("path", "size")
        to_read = [(row["path"], row["size"]) for row in rest.collect()]
        as_pixels = dataset.schema["image"].codec is Codec.RAW_IMAGE
        yield KnownFiles(
            facts=_facts(known, _thumbnails(spark, destination, manifest)),
            stored=stored_bytes(spark, dataset, as_files=as_pixels and not raw, way_out=_WAY_OUT),
            to_read=to_read,
            counts={**_counts(ledger, now), "read": len(to_read)},
            as_pixels=as_pixels,
        )
    finally:
        known.unpersist()


def _earlier(destination: Location, about: Mapping[str, Any]) -> tuple[Dataset, Manifest, int] | str:
    """Return the version that is there, its manifest, and when its source was listed; or why nothing of it can be used."""
    if not (destination / MANIFEST).exists():
        return f"no dataset is at {destination.url} yet"
    try:
        dataset = Dataset.open(destination)
        if dataset.manifest is None or not dataset.manifest.ledger:
            return "the version that is there has no ledger of its source's files"
        before = about_ledger(destination, dataset.manifest.ledger[0])
    except DatasetInvalid as error:
        raise JobRefused(f"{error}; {_WAY_OUT}") from error
    return _differing(before, about) or (dataset, dataset.manifest, int(before["listed"]))


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _jsonable(element) for name, element in value.items()}
    return [_jsonable(element) for element in value] if isinstance(value, (list, tuple)) else value


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> str | None:
    """Return in words the first thing in which they differ, the moment of the listing apart."""
    for name in sorted({*before, *now} - ({"listed"} if not prefix else set())):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if difference := _differing(old, new, f"{prefix}{name}."):
                return difference
        elif old != new:
            return f"{prefix}{name} is {new!r}, it was {old!r}"
    return None


def _counts(ledger: DataFrame, now: DataFrame) -> dict[str, int]:
    old = ledger.select("path", F.col("size").alias("size_before"), F.col("modified").alias("modified_before"))
    same = (F.col("size") == F.col("size_before")) & (F.col("modified") == F.col("modified_before"))
    state = (
        F.when(F.col("size_before").isNull(), "new")
        .when(F.col("size").isNull(), "gone")
        .when(same, "unchanged")
        .otherwise("changed")
    )
    states = now.join(old, on="path", how="full_outer").groupBy(state.alias("state")).count().collect()
    return {**dict.fromkeys(("unchanged", "new", "changed", "gone"), 0), **{row["state"]: row["count"] for row in states}}


def _facts(known: DataFrame, thumbnails: DataFrame) -> DataFrame:
    refused = F.col("reason").isNotNull()
    # Of what was refused later a thumbnail is made of the bytes, as of files that are read.
    seen = known.join(thumbnails, on="path", how="left").withColumn("thumbnail", F.when(refused, F.col("thumbnail")))
    return seen.withColumn("content", F.when(refused, F.lit("").cast("binary"))).drop("size", "modified", "stored", "held")


def _ledger_rows(spark: SparkSession, root: Location, manifest: Manifest) -> DataFrame:
    return _side_rows(spark, _LedgerRows(root.url), manifest.ledger, _LEDGER)


def _thumbnails(spark: SparkSession, root: Location, manifest: Manifest) -> DataFrame:
    return _side_rows(spark, _Thumbnails(root.url), manifest.quarantine, "path string, thumbnail binary")


def _side_rows(spark: SparkSession, read: Any, files: tuple[SideFile, ...], schema: str) -> DataFrame:
    names = spark.sparkContext.parallelize([(file.path, file.checksum) for file in files], max(1, len(files)))
    return spark.createDataFrame(names, "path string, checksum string").mapInArrow(read, schema)


@dataclass(frozen=True, slots=True)
class _LedgerRows:
    """Reads ledgers on the executors."""

    url: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for side in _named(batches):
            try:
                yield from ledger_batches(locate(self.url), side)
            except DatasetInvalid as error:
                raise JobRefused(f"{error}; {_WAY_OUT}") from error


@dataclass(frozen=True, slots=True)
class _Thumbnails:
    """Reads the quarantine's thumbnails on the executors."""

    url: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for side in _named(batches):
            try:
                refused = read_quarantine(locate(self.url), [side])
            except DatasetInvalid as error:
                raise JobRefused(f"{error}; {_WAY_OUT}") from error
            for batch in refused.to_batches():
                yield pa.RecordBatch.from_arrays([batch.column("source"), batch.column("thumbnail")], ["path", "thumbnail"])


def _named(batches: Iterator[pa.RecordBatch]) -> Iterator[SideFile]:
    for batch in batches:
        for row in batch.to_pylist():
            yield SideFile(**row)


def _spark_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"array<{_spark_type(kind.value_type)}>"
    return {pa.int32(): "int", pa.int64(): "long", pa.bool_(): "boolean"}.get(kind, "string")


_LEDGER = ", ".join(f"{field.name} {_spark_type(field.type)}" for field in LEDGER_SCHEMA)
