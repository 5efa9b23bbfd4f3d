"""The image job: a folder of image files in, a published dataset out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyspark
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml import __version__
from bigdata_ml.dataset import Contract, Dataset, Manifest, Staging, WriteOptions, publish, stage
from bigdata_ml.dataset.publishing.staging import refuse_existing
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.features.statistics import image_statistics
from bigdata_ml.prepare.features.vocabularies import label_vocabulary, refuse_many_classes
from bigdata_ml.prepare.images.duplicates.near_groups import largest_near_groups
from bigdata_ml.prepare.images.incremental.known_files import about_inspection
from bigdata_ml.prepare.images.incremental.work import Work, incremental_work, whole_work
from bigdata_ml.prepare.images.options import ImageJob
from bigdata_ml.prepare.images.report import Shown, image_quality, pictures_of, refused_rows, shown_of, verdict
from bigdata_ml.prepare.images.schema import columns_of, image_schema
from bigdata_ml.prepare.images.steps import (
    Judgement,
    bring_together,
    divide,
    judge_bytes,
    judge_looks,
    sum_up,
    with_group,
    with_stored,
    with_verdicts,
)
from bigdata_ml.prepare.publish.before_after import change_numbers, change_section, image_changes
from bigdata_ml.prepare.publish.drift import as_numbers, drift_section, find_shifts, history_with, manifest_before
from bigdata_ml.prepare.publish.gate import check_limits, check_reasons
from bigdata_ml.prepare.publish.ledger import write_ledger
from bigdata_ml.prepare.publish.sink import Sink, partitions_for
from bigdata_ml.prepare.session.failures import refused_by_spark
from bigdata_ml.prepare.session.progress import say, stage_progress
from bigdata_ml.prepare.sources import any_images
from bigdata_ml.prepare.split.by_group import Bounds, bounds_from_json
from bigdata_ml.prepare.split.from_paths import warn_of_given_splits
from bigdata_ml.schema import Codec
from bigdata_ml.storage import locate

__all__ = ["prepare_images"]

# Groups of near duplicates that quality.json lists, and members of each.
_GROUPS, _MEMBERS = 100, 50
_FEWER_CLASSES = "check that --label-from folder finds classes and not a folder an image, or name a file of labels"


def prepare_images(spark: SparkSession, job: ImageJob) -> Manifest:
    """Run the job; returns the manifest of what was published.

    Raises:
        JobRefused: nothing to read, no or only one class, a destination that exists; nothing is published then.
        ValueError: an argument that makes no sense.
    """
    with refused_by_spark(job.source):
        return _prepare(spark, job)


class _FormChanged(Exception):
    """The version that is there stores pixels, and the files' bytes would now be needed."""


def _prepare(spark: SparkSession, job: ImageJob) -> Manifest:
    destination = locate(job.dataset)
    refuse_existing(destination, replace=job.replace)
    check_reasons(job.limits, job.asked)
    bounds = _known_bounds(job)
    files = any_images(spark, job.source, kind=job.source_format, label_from=job.labels)
    say(f"{files.files} files, {files.bytes / 1e6:.1f} MB in {job.source}")
    for why, count in files.passed_over.items():
        if count:
            say(f"{count} files are not looked at: {why}")
    if not job.split_from and files.listing is not None:
        warn_of_given_splits(job.source, files.listing.files.column("path").to_pylist())
    if not job.incremental:
        return _process(spark, job, whole_work(spark, files, job.inspection), bounds)
    with incremental_work(spark, destination, files, job.inspection, source=job.source) as work:
        if isinstance(work, Work):
            try:
                return _process(spark, job, work, bounds)
            except _FormChanged:
                work = "the version that is there stores pixels, and these images are kept as files"
    say(f"all files are read: {work}")
    return _process(spark, job, whole_work(spark, files, job.inspection, because=work), bounds)


def _process(spark: SparkSession, job: ImageJob, work: Work, known_bounds: Bounds | None) -> Manifest:
    before = manifest_before(locate(job.dataset))
    partitions = partitions_for(work.files.bytes)
    together = bring_together(work.inspected, seed=job.seed, partitions=partitions)
    if work.stored is not None:
        together = with_stored(together, work.stored, partitions=partitions)
    facts = judge_bytes(together, labels=job.has_labels, conflicts=job.label_conflict, split_from=job.split_from)
    with (
        _kept(together, StorageLevel.DISK_ONLY),
        _kept(facts, StorageLevel.MEMORY_AND_DISK),
        stage(job.dataset, replace=job.replace) as staging,
    ):
        for place in staging.debris:
            say(f"deleted what a killed job left: {place}")
        with stage_progress(spark.sparkContext, "decode, judge", rows=work.files.files):
            classes = F.count_distinct(F.when(F.col("reason").isNull(), F.col("label")))
            missing, class_count = facts.agg(F.count_if("missing"), classes).collect()[0]
        refuse_many_classes(job.source, "label", class_count, most=job.max_classes, way_out=_FEWER_CLASSES)
        if missing:
            raise JobRefused(
                f"{job.dataset}: of {missing} files its ledger says that their content is stored, and "
                "it is not: the version that is there is damaged; run without --incremental"
            )
        with stage_progress(spark.sparkContext, "find duplicates and near ones, split", rows=work.files.files):
            judged, crowds = judge_looks(
                facts,
                policy=job.near_duplicates,
                distance=job.near_distance,
                conflicts=job.label_conflict,
                count=work.files.files,
            )
            divided, bounds = divide(with_group(judged, job.split_key), job.rule, stratify=job.stratify, known=known_bounds)
        with _kept(divided, StorageLevel.MEMORY_AND_DISK):
            with stage_progress(spark.sparkContext, "count what was refused", rows=work.files.files):
                judgement = sum_up(divided)
            empty = len(work.files.empty_classes) if job.has_labels else 0
            warned = {**judgement.warned, "near_crowd": crowds, "empty_class": empty, **work.files.passed_over}
            _check(job, work, judgement, warned)
            rows = with_verdicts(together, divided, partitions=partitions, repeated=judgement.repeated)
            return _write(spark, job, work, _Judged(divided, rows, judgement, warned, bounds), staging, before)


@dataclass(frozen=True, slots=True)
class _Judged:
    """All files, judged: without their bytes and with them, what was counted, and noticed, classes' bounds."""

    facts: DataFrame
    rows: DataFrame
    judgement: Judgement
    warned: Mapping[str, int]
    bounds: Bounds | None


def _write(
    spark: SparkSession, job: ImageJob, work: Work, judged: _Judged, staging: Staging, before: Manifest | None
) -> Manifest:
    facts, judgement, folder = judged.facts, judged.judgement, work.files
    raw = job.encoding == "raw"
    schema = image_schema(judgement, encoding=job.encoding, labels=job.has_labels, source=job.source)
    if work.only_pixels and schema["image"].codec is not Codec.RAW_IMAGE:
        raise _FormChanged
    kept = facts.where(F.col("reason").isNull())
    with stage_progress(spark.sparkContext, "choose what the quality page shows", rows=folder.files):
        shown = shown_of(facts, largest_near_groups(facts, groups=_GROUPS, members=_MEMBERS))
    statistics = image_statistics(kept.where(F.col("split") == "train"), channels=judgement.channels)
    sink = Sink(
        schema=schema,
        options=WriteOptions(row_group_bytes=job.row_group_bytes),
        encode=columns_of(schema, judgement, raw=raw),
        refuse=partial(refused_rows, raw=raw),
        reason="reason",
        sample=partial(pictures_of, paths=frozenset(shown.rows), raw=raw),
    )
    with stage_progress(spark.sparkContext, "write", rows=judgement.kept):
        written = sink.write(judged.rows.sortWithinPartitions("__place", "sha256", "path"), staging)
    ledger: tuple[str, ...] = ()
    if folder.listing is not None and not folder.packed:
        with stage_progress(spark.sparkContext, "write the ledger", rows=folder.files):
            ledger = write_ledger(facts, folder.listing, staging, about_inspection(job.inspection, folder.listing))
    splits = written.rows_by_split()
    for name in sorted(job.rule.names - splits.keys()):
        say(f"warning: the split {name} got no rows; give more rows, other shares, or another --seed")
    contract = Contract(
        schema=schema,
        label="label" if job.has_labels else None,
        vocabularies={"label": label_vocabulary(kept, "label", splits=splits)} if job.has_labels else {},
        statistics={"image": statistics} if statistics else {},
        split_rule={**job.rule.to_json(), **({"class_bounds": judged.bounds} if judged.bounds else {})},
        cleaning=verdict(
            folder.files,
            judgement.tally,
            judged.warned,
            rules=job.rules,
            checks=job.checks,
            asked=job.asked,
        ),
        provenance=_provenance(job, work, staging.debris),
    )
    with stage_progress(spark.sparkContext, "make the quality page", rows=folder.files):
        pages = _pages(job, contract, splits, facts, before, shown=shown, pictures=written.samples)
    # Rows that were lost with an executor were read again.
    folder.refuse_changed()
    manifest = publish(staging, written.files, contract, quarantine=written.quarantine, pages=pages, ledger=ledger)
    say(f"published {manifest.rows} rows as {job.dataset}")
    return manifest


def _pages(
    job: ImageJob,
    contract: Contract,
    splits: Mapping[str, int],
    facts: DataFrame,
    before: Manifest | None,
    *,
    shown: Shown,
    pictures: Mapping[str, bytes],
) -> dict[str, bytes]:
    """Return the quality page, its numbers and the metrics' history by path; runs Spark jobs."""
    shifts = find_shifts(before, contract) if before else []
    changes = image_changes(facts, found=contract.cleaning.found, labels=job.has_labels)
    pages = image_quality(
        dataset_url=job.dataset,
        contract=contract,
        splits=splits,
        shown=shown,
        pictures=pictures,
        more_sections=[change_section(changes), *([drift_section(before, shifts)] if before else [])],
        more_numbers={"changes": change_numbers(changes), **({"drift": as_numbers(shifts)} if before else {})},
    )
    return pages | history_with(locate(job.dataset), contract, splits)


def _known_bounds(job: ImageJob) -> Bounds | None:
    if job.stratify_like is None:
        return None
    manifest = Dataset.open(job.stratify_like).manifest
    return bounds_from_json(manifest.split_rule if manifest else None, job.rule, job.stratify_like)


@contextmanager
def _kept(rows: DataFrame, level: StorageLevel) -> Iterator[None]:
    rows.persist(level)
    try:
        yield
    finally:
        rows.unpersist()


def _check(job: ImageJob, work: Work, judgement: Judgement, warned: Mapping[str, int]) -> None:
    folder, tally = work.files, judgement.tally
    if sum(tally.values()) != folder.files:
        folder.refuse_changed()
        raise JobRefused(f"{folder.files} files were listed and {sum(tally.values())} read; do they change?")
    refused = {reason: count for reason, count in tally.items() if reason is not None}
    if not judgement.kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in refused.items())
        raise JobRefused(f"{job.source}: no image is left; refused were {reasons}")
    if job.has_labels and not judgement.several_classes:
        raise JobRefused(
            f"{job.source}: the kept images have one class, and nothing can be learned from one; "
            "put images into a folder per class, or give --label-from a file of labels, or none for a dataset without labels"
        )
    check_limits(job.source, job.limits, refused, warned, found=folder.files)


def _provenance(job: ImageJob, work: Work, debris: tuple[str, ...]) -> dict[str, Any]:
    return {
        "job": "prepare_images",
        **({"incremental": dict(work.counts)} if work.counts is not None else {}),
        "arguments": asdict(job),
        "source": locate(job.source).url,
        "empty_classes": list(work.files.empty_classes) if job.has_labels else [],
        "debris_deleted": list(debris),
        "versions": {"bigdata_ml": __version__, "pyspark": pyspark.__version__, "pyarrow": pa.__version__},
    }
