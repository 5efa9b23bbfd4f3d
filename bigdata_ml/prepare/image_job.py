"""The image job: a folder of image files in, a published dataset out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import pyarrow as pa
import pyspark
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml import __version__
from bigdata_ml.dataset import QUARANTINE_SCHEMA, Cleaning, Contract, Manifest, WriteOptions, publish, stage
from bigdata_ml.dataset.layout import QUALITY, QUALITY_NUMBERS
from bigdata_ml.dataset.publish import refuse_existing
from bigdata_ml.errors import JobRefused
from bigdata_ml.pages import Picture
from bigdata_ml.prepare.duplicates import refuse_duplicates
from bigdata_ml.prepare.failures import refused_by_spark
from bigdata_ml.prepare.features import label_vocabulary
from bigdata_ml.prepare.images import REASONS, inspect_images, pixels_of, refuse_unlabelled, thumbnail_of
from bigdata_ml.prepare.progress import say, stage_progress
from bigdata_ml.prepare.quality import quality_page
from bigdata_ml.prepare.sink import Sink, partitions_for, quarantine_batch
from bigdata_ml.prepare.sources import images
from bigdata_ml.prepare.split import SplitRule, assign_split
from bigdata_ml.prepare.statistics import image_statistics
from bigdata_ml.schema import Codec, Field, Schema
from bigdata_ml.storage import locate

__all__ = ["ImageJob", "prepare_images"]

# Below this an image is kept as pixels: decoding would cost more than reading.
_RAW_BYTES = 16 << 10
_SAMPLES = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageJob:
    """Turn a folder of images into a dataset: refuse what is broken or there twice, split, publish.

    Attributes:
        source: URL of the folder; the folder a file lies in is its class, at any depth.
        dataset: URL of the dataset to publish; nothing may be there yet.
        label_from: `folder`, or the URL of a CSV file with the columns path,label.
        encoding: `raw` keeps pixels (all images must have one size), `source` the files' own bytes; `auto` takes raw
            where all images have one size of at most 16 KiB.
        split: shares of the splits.
        seed: of the split and of the order in the files.
        row_group_bytes: bytes of images a row group aims at.
    """

    source: str
    dataset: str
    label_from: str = "folder"
    encoding: Literal["auto", "raw", "source"] = "auto"
    split: str = "train=0.8,validation=0.1,test=0.1"
    seed: int = 0
    row_group_bytes: int = 8 << 20


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What the first pass found: rows by reason (None: kept); of the kept: classes, sizes (height, width) and channels."""

    tally: dict[str | None, int]
    classes: int
    sizes: int
    least: tuple[int, int]
    most: tuple[int, int]
    channels: int

    @property
    def kept(self) -> int:
        return self.tally.get(None, 0)


def prepare_images(spark: SparkSession, job: ImageJob) -> Manifest:
    """Run the job; returns the manifest of what was published.

    Raises:
        JobRefused: nothing to read, no or only one class, a destination that exists; nothing is published then.
        ValueError: an argument that makes no sense.
    """
    with refused_by_spark(job.source):
        return _prepare(spark, job)


def _prepare(spark: SparkSession, job: ImageJob) -> Manifest:
    rule = SplitRule.parse(job.split, key=["sha256"], seed=job.seed)
    options = WriteOptions(row_group_bytes=job.row_group_bytes)
    refuse_existing(locate(job.dataset))
    folder = images(spark, job.source, label_from=job.label_from)
    say(f"{folder.files} files, {folder.bytes / 1e6:.1f} MB in {job.source}")
    judged = (
        inspect_images(folder.rows)
        .transform(refuse_unlabelled)
        .repartition(partitions_for(folder.bytes), "sha256")
        .transform(refuse_duplicates, key="sha256", order="path")
        .transform(assign_split, rule, mix_by=["sha256"])
        .sortWithinPartitions("__place", "sha256", "path")
    )
    with _kept_on_disk(judged), stage(job.dataset) as staging:
        for place in staging.debris:
            say(f"deleted what a killed job left: {place}")
        with stage_progress(spark.sparkContext, "decode, find duplicates, split"):
            judgement = _judge(judged)
        if sum(judgement.tally.values()) != folder.files:
            raise JobRefused(f"{folder.files} files were listed and {sum(judgement.tally.values())} read; do they change?")
        _check_classes(job, judgement)
        kept = judged.where(F.col("reason").isNull())
        schema, encode = _stored_as(job, judgement)
        vocabulary = label_vocabulary(kept, "label")
        statistics = image_statistics(kept.where(F.col("split") == "train"), channels=judgement.channels)
        with stage_progress(spark.sparkContext, f"write {judgement.kept} rows"):
            written = Sink(schema=schema, options=options, encode=encode, refuse=_refused, reason="reason").write(judged, staging)
        for name in sorted(rule.names - written.rows_by_split().keys()):
            say(f"warning: the split {name} got no rows; give more rows, other shares, or another --seed")
        contract = Contract(
            schema=schema,
            label="label",
            vocabularies={"label": vocabulary},
            statistics={"image": statistics} if statistics else {},
            split_rule=rule.to_json(),
            cleaning=_verdict(folder.files, judgement, folder.empty_classes),
            provenance=_provenance(job, staging.debris, folder.empty_classes),
        )
        pages = _quality(job, contract, judged, written.rows_by_split())
        manifest = publish(staging, written.files, contract, quarantine=written.quarantine, pages=pages)
    say(f"published {manifest.rows} rows as {job.dataset}")
    return manifest


@contextmanager
def _kept_on_disk(rows: DataFrame) -> Iterator[None]:
    # Two passes over one decoding: the second writes what the first has judged.
    rows.persist(StorageLevel.DISK_ONLY)
    try:
        yield
    finally:
        rows.unpersist()


def _judge(judged: DataFrame) -> _Judgement:
    size = F.struct("height", "width")
    found = judged.groupBy("reason").agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_distinct("label").alias("classes"),
        F.count_distinct(size).alias("sizes"),
        F.min(size).alias("least"),
        F.max(size).alias("most"),
        F.max("channels").alias("channels"),
    )
    by_reason = {row["reason"]: row for row in found.collect()}
    tally = {reason: row["rows"] for reason, row in by_reason.items()}
    kept = by_reason.get(None)
    if kept is None:
        return _Judgement(tally, classes=0, sizes=0, least=(0, 0), most=(0, 0), channels=0)
    return _Judgement(tally, kept["classes"], kept["sizes"], tuple(kept["least"]), tuple(kept["most"]), kept["channels"])


def _check_classes(job: ImageJob, judgement: _Judgement) -> None:
    reasons = ", ".join(f"{count} {reason}" for reason, count in judgement.tally.items() if reason)
    if not judgement.kept:
        raise JobRefused(f"{job.source}: no image is left; refused were {reasons}")
    if judgement.classes < 2:
        raise JobRefused(
            f"{job.source}: the kept images have one class, and nothing can be learned from one; "
            "put images into a folder per class, or give --label-from a file of labels"
        )


def _stored_as(job: ImageJob, judgement: _Judgement) -> tuple[Schema, Any]:
    """Return the schema, and the function that makes the columns on the executors."""
    (height, width), channels = judgement.most, judgement.channels
    small = judgement.sizes == 1 and height * width * channels <= _RAW_BYTES
    if job.encoding == "raw" and judgement.sizes > 1:
        raise JobRefused(
            f"{job.source}: --encoding raw needs images of one size, there are {judgement.sizes}, "
            f"{judgement.least} and {judgement.most} "
            "among them; use --encoding source and give the size when training"
        )
    if job.encoding == "raw" or (job.encoding == "auto" and small):
        kind = pa.fixed_shape_tensor(pa.uint8(), (height, width, channels))
        image = Field(name="image", type=kind, codec=Codec.RAW_IMAGE)
    else:
        image = Field(name="image", type=pa.binary(), codec=Codec.IMAGE, channels=channels)
    text = {name: Field(name=name, type=pa.string(), vocabulary=name == "label") for name in ("label", "source", "sha256")}
    schema = Schema((image, text["label"], text["source"], text["sha256"]))
    return schema, partial(_encoded, schema=schema, channels=channels)


def _encoded(batch: pa.RecordBatch, *, schema: Schema, channels: int) -> pa.RecordBatch:
    content = batch.column("content")
    image = pixels_of(content, channels=channels) if schema["image"].codec is Codec.RAW_IMAGE else content
    columns = [image, batch.column("label"), batch.column("path"), batch.column("sha256")]
    return pa.RecordBatch.from_arrays(columns, names=list(schema.names))


def _refused(batch: pa.RecordBatch) -> pa.RecordBatch:
    thumbnails = [thumbnail_of(content.as_py()) for content in batch.column("content")]
    return quarantine_batch(
        source=batch.column("path"),
        reason=batch.column("reason"),
        detail=batch.column("detail"),
        row=pa.nulls(batch.num_rows, pa.string()),
        thumbnail=pa.array(thumbnails, pa.binary()),
    )


def _verdict(files: int, judgement: _Judgement, empty_classes: tuple[str, ...]) -> Cleaning:
    refused = {reason: judgement.tally.get(reason, 0) for reason in REASONS}
    return Cleaning(
        found=files,
        kept=judgement.kept,
        refused=refused,
        warned={"empty_class": len(empty_classes)},
        rules={
            "wrong_type": "the file's first bytes are those of no image format",
            "undecodable": "the image does not decode to its end",
            "duplicate": "another file has the same bytes; the first by path is kept",
            "label_missing": "no class folder, or no line in the label file",
            "empty_class": "a class folder without files (a warning)",
        },
    )


def _provenance(job: ImageJob, debris: tuple[str, ...], empty_classes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "job": "prepare_images",
        "arguments": asdict(job),
        "source": locate(job.source).url,
        "empty_classes": list(empty_classes),
        "debris_deleted": list(debris),
        "versions": {"bigdata_ml": __version__, "pyspark": pyspark.__version__, "pyarrow": pa.__version__},
    }


def _quality(job: ImageJob, contract: Contract, judged: DataFrame, splits: dict[str, int]) -> dict[str, bytes]:
    kept = judged.where(F.col("reason").isNull()).orderBy("sha256").limit(_SAMPLES).select("path", "label", "content").collect()
    pictures = [(thumbnail_of(bytes(row["content"])), f"{row['label']} · {row['path']}") for row in kept]
    refused = judged.where(F.col("reason").isNotNull()).orderBy("reason", "path").limit(_SAMPLES).toArrow()
    html, numbers = quality_page(
        dataset_url=job.dataset,
        cleaning=contract.cleaning,
        splits=splits,
        label=contract.label,
        vocabularies=contract.vocabularies,
        statistics=contract.statistics,
        joins=(),
        refused_samples=pa.Table.from_batches([_refused(batch) for batch in refused.to_batches()], QUARANTINE_SCHEMA),
        kept_samples=[Picture(png=png, caption=caption) for png, caption in pictures if png is not None],
        provenance=contract.provenance,
    )
    return {QUALITY: html, QUALITY_NUMBERS: numbers}
