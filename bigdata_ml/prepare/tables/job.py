"""The table job from end to end: reads, joins, cleans, learns and publishes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyspark
from pyspark import StorageLevel
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bigdata_ml import __version__
from bigdata_ml.dataset import Manifest, Staging, WriteOptions, publish, stage
from bigdata_ml.dataset.publishing.staging import refuse_existing
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.features.vocabularies import feature_vocabularies, label_vocabulary, refuse_many_classes
from bigdata_ml.prepare.publish.gate import check_limits, check_reasons
from bigdata_ml.prepare.publish.sink import Sink, partitions_for
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.failures import refused_by_spark
from bigdata_ml.prepare.session.progress import say, stage_progress
from bigdata_ml.prepare.sources.any_source import is_file_source
from bigdata_ml.prepare.sources.listing import Listing, list_source
from bigdata_ml.prepare.split.from_paths import warn_of_shared_rows
from bigdata_ml.prepare.tables.cleaning import TableCleaner
from bigdata_ml.prepare.tables.columns import column_quantiles, learn_columns, numbers_of
from bigdata_ml.prepare.tables.declared_types import parse_types, with_types
from bigdata_ml.prepare.tables.joins import Join, join_reports
from bigdata_ml.prepare.tables.options import TableJob
from bigdata_ml.prepare.tables.read import read_joined
from bigdata_ml.prepare.tables.report import CleanedTable, refused_table_rows, table_contract, table_quality
from bigdata_ml.prepare.tables.rules.model import TableRules
from bigdata_ml.prepare.tables.rules.row_rules import check_patterns
from bigdata_ml.prepare.tables.rules.rulebook import MALFORMED_ROWS, tally_rules
from bigdata_ml.prepare.tables.rules.yaml_file import read_rules
from bigdata_ml.prepare.tables.schema import has_classes
from bigdata_ml.prepare.tables.steps import parse_names
from bigdata_ml.prepare.tables.up_to_date import MADE_OF, made_of, up_to_date
from bigdata_ml.schema import Schema
from bigdata_ml.storage import locate

__all__ = ["prepare_table"]

_VERSIONS = {"bigdata_ml": __version__, "pyspark": pyspark.__version__, "pyarrow": pa.__version__}
# Options without effect on what is published.
_WITHOUT_EFFECT = ("dataset", "replace", "incremental")
# Bytes of one value in a row while it is sorted, including its text in the row's JSON. Partitions of this size fit into a
# task's share of a small heap and are not spilled.
_VALUE_BYTES = 32


def prepare_table(spark: SparkSession, job: TableJob, *, rules: TableRules | None = None) -> Manifest:
    """Run the job and return the manifest of the published dataset.

    Args:
        spark: the session.
        job: the options.
        rules: rules made in Python, instead of the job's file.

    Raises:
        JobRefused: the source is empty, a column does not exist, a join multiplies rows, rules are invalid or refuse the job,
            no row or only one class remains, or the destination exists. Nothing is published then.
        ValueError: an invalid argument.
    """
    if rules is not None and job.rules:
        raise ValueError("give rules either in the job's file or in Python, not both")
    with refused_by_spark(job.source):
        given = rules or (read_rules(job.rules) if job.rules else TableRules())
        return _prepare(spark, job, TableCleaner.of(with_types(given, parse_types(job.types)), form=job.form))


def _prepare(spark: SparkSession, job: TableJob, cleaner: TableCleaner) -> Manifest:
    refuse_existing(locate(job.dataset), replace=job.replace)
    rule_names = [rule.name for rule in cleaner.book.rules]
    check_reasons(job.limits, ("label_missing", "not_utf8", "no_split", *MALFORMED_ROWS, *rule_names))
    check_patterns(spark, cleaner.rules.columns)
    joins = [Join.parse(text) for text in job.join]
    urls = (job.source, *(join.url for join in joins), *cleaner.referenced)
    listings = [list_source(url) for url in urls if is_file_source(url)]
    options = {name: value for name, value in asdict(job).items() if name not in _WITHOUT_EFFECT}
    inputs = made_of(listings, {"job": options, "rules": asdict(cleaner.rules), "versions": _VERSIONS})
    if job.incremental:
        all_files = len(listings) == len(urls)
        current = up_to_date(locate(job.dataset), inputs) if all_files else "database tables have no modification time"
        if isinstance(current, Manifest):
            say(f"{job.dataset} is up to date: nothing has changed since version {current.publication}")
            return current
        say(f"reading all of {job.source}: {current}")
    table = read_joined(spark, job, joins, cleaner, listings)
    with stage_progress(spark.sparkContext, "count"):
        # The source is counted before the joins, to detect joins that lose or multiply rows.
        before = table.source.count() if table.source_rows is None else table.source_rows
    rows = (
        table.rows.repartition(partitions_for(before * len(table.rows.columns) * _VALUE_BYTES), "__place")
        .sortWithinPartitions("__place", "__row")
        .persist(StorageLevel.DISK_ONLY)
    )
    try:
        with stage(job.dataset, replace=job.replace) as staging:
            for path in staging.debris:
                say(f"deleted the leftovers of a killed job: {path}")
            with stage_progress(spark.sparkContext, "read, join, split", rows=before):
                bounded, bounds = cleaner.outliers(rows)
                judged = bounded.select(*map(named, table.columns))
                tally = tally_rules(judged, cleaner.book)
                for listing in listings:
                    listing.refuse_changed()
                if job.split_from:
                    warn_of_shared_rows(judged)
                reports = join_reports(judged, joins, before=before)
            cleaned = CleanedTable(
                judged, table.label, table.split, table.drops, reports, tally, cleaner.words(bounds), table.types
            )
            _check_label(job, cleaned)
            check_limits(job.source, job.limits, tally.refused, tally.noted, found=tally.found)
            return _write(spark, job, cleaned, staging, listings, inputs)
    finally:
        rows.unpersist()


def _write(
    spark: SparkSession,
    job: TableJob,
    cleaned: CleanedTable,
    staging: Staging,
    listings: Sequence[Listing],
    inputs: Mapping[str, Any],
) -> Manifest:
    label = cleaned.label
    with stage_progress(spark.sparkContext, "examine the columns", rows=cleaned.tally.kept):
        learned = learn_columns(
            cleaned.kept, label, categorical=parse_names(job.categorical), select=job.select_features, seed=job.seed
        )
    for leak in learned.leaks:
        say(
            f"warning: column {leak.column} alone predicts the label {label} (it avoids {leak.errors_avoided:.1%} of the errors "
            "of guessing the commonest class); if it is known only afterwards, remove it by --drop"
        )
    cleaned = replace(cleaned, rows=cleaned.rows.drop(*learned.dropped))
    kept = cleaned.kept
    with stage_progress(spark.sparkContext, "count categories, compute quantiles", rows=cleaned.tally.kept):
        schema = learned.schema
        train = kept.where(F.col("split") == "train")
        names = [field.name for field in schema if field.vocabulary and field.name != label]
        vocabularies = feature_vocabularies(train, names, min_count=job.min_count, max_values=job.max_vocabulary)
        if schema[label].vocabulary:
            vocabularies[label] = label_vocabulary(kept, label, splits=cleaned.split.names)
        quantiles = column_quantiles(train, numbers_of(schema))
    sink = Sink(
        schema=schema,
        options=WriteOptions(row_group_bytes=job.row_group_bytes),
        encode=partial(_encode, schema=schema),
        refuse=refused_table_rows,
        reason="__reason",
    )
    with stage_progress(spark.sparkContext, "write", rows=cleaned.tally.kept):
        written = sink.write(cleaned.rows, staging)
    for name in sorted(cleaned.split.names - written.rows_by_split().keys()):
        say(f"warning: the split {name} has no rows; use more rows, other shares or another --seed")
    provenance = {
        "job": "prepare_table",
        "arguments": asdict(job),
        "source": locate(job.source).url if is_file_source(job.source) else job.source.partition("?")[0],
        "joins": [asdict(report) for report in cleaned.joins],
        "tells_the_label": {leak.column: leak.errors_avoided for leak in learned.leaks},
        "debris_deleted": list(staging.debris),
        "versions": _VERSIONS,
        MADE_OF: inputs,
    }
    contract = table_contract(cleaned, learned, vocabularies, quantiles, written, provenance)
    pages = table_quality(job.dataset, contract, cleaned, learned, written)
    for listing in listings:
        # Files are read again if an executor is lost.
        listing.refuse_changed()
    manifest = publish(staging, written.files, contract, quarantine=written.quarantine, pages=pages)
    for report in cleaned.joins:
        counts = f"{report.matched} matched, {report.unmatched} unmatched, {report.multiplied} multiplied"
        say(f"join {report.name} ({report.keys}): {counts}")
    say(f"published {manifest.rows} rows as {job.dataset}")
    return manifest


def _check_label(job: TableJob, cleaned: CleanedTable) -> None:
    tally, label = cleaned.tally, cleaned.label
    if not tally.found:
        raise JobRefused(f"{job.source}: it has no rows")
    if not tally.kept and set(tally.refused) == {"label_missing"}:
        raise JobRefused(f"{job.source}: no row is left, the label {label!r} is null in all {tally.found} rows")
    if not tally.kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in tally.refused.items())
        raise JobRefused(f"{job.source}: no row is left, refused: {reasons}; compare the rules with `bigdata-ml profile`")
    classes, first = cleaned.kept.agg(F.count_distinct(named(label)), F.first(named(label))).collect()[0]
    if classes < 2:
        raise JobRefused(
            f"{job.source}: the label {label!r} has one class, {first!r}, in all {tally.kept} rows, "
            "so there is nothing to learn; check --label"
        )
    if has_classes(cleaned.kept, label):
        way_out = f"to predict a number, make it floating: --label '{label}_number=cast({label} as double)'"
        refuse_many_classes(job.source, label, classes, most=job.max_classes, way_out=way_out)


def _encode(batch: pa.RecordBatch, *, schema: Schema) -> pa.RecordBatch:
    return batch.select(list(schema.names)).cast(schema.to_arrow())
