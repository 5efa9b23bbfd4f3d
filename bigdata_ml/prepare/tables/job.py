"""The table job: rows of files in, joined, labelled, a published dataset out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyspark
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml import __version__
from bigdata_ml.dataset import Manifest, Staging, WriteOptions, publish, stage
from bigdata_ml.dataset.publishing.publish import refuse_existing
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.features.selection.select import FeatureSelection
from bigdata_ml.prepare.features.vocabularies import feature_vocabularies, label_vocabulary, refuse_many_classes
from bigdata_ml.prepare.publish.gate import Limit, check_limits, check_reasons
from bigdata_ml.prepare.publish.sink import Sink, partitions_for
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.failures import refused_by_spark
from bigdata_ml.prepare.session.progress import say, stage_progress
from bigdata_ml.prepare.sources.any_source import is_file_source, source_table
from bigdata_ml.prepare.sources.listing import Listing, list_source
from bigdata_ml.prepare.sources.tables.flatten import flatten, parse_map_keys
from bigdata_ml.prepare.sources.tables.source_table import SourceTable
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.split.by_hash import SplitRule, assign_split
from bigdata_ml.prepare.split.from_paths import SplitFrom, refuse_no_split, warn_of_given_splits, warn_of_shared_rows
from bigdata_ml.prepare.tables.cleaning import TableCleaner
from bigdata_ml.prepare.tables.columns import column_quantiles, learn_columns, numbers_of
from bigdata_ml.prepare.tables.declared_types import parse_types, with_types
from bigdata_ml.prepare.tables.report import CleanedTable, refused_table_rows, table_contract, table_quality
from bigdata_ml.prepare.tables.rules.model import TableRules
from bigdata_ml.prepare.tables.rules.row_rules import check_patterns
from bigdata_ml.prepare.tables.rules.rulebook import MALFORMED_ROWS, tally_rules, with_violations
from bigdata_ml.prepare.tables.rules.yaml_file import read_rules
from bigdata_ml.prepare.tables.schema import has_classes
from bigdata_ml.prepare.tables.steps import (
    DropRule,
    Join,
    add_label,
    drop_columns,
    join_reports,
    join_table,
    nan_to_null,
    parse_rename,
    refuse_broken_text,
    refuse_missing_label,
    refuse_shared_keys,
    with_source,
)
from bigdata_ml.prepare.tables.type_report import chosen_types, type_lines
from bigdata_ml.prepare.tables.up_to_date import MADE_OF, made_of, up_to_date
from bigdata_ml.schema import Schema
from bigdata_ml.shown import refuse_credentials
from bigdata_ml.storage import locate

__all__ = ["TableJob", "prepare_table"]

_VERSIONS = {"bigdata_ml": __version__, "pyspark": pyspark.__version__, "pyarrow": pa.__version__}
# Options that say nothing of what is published.
_ASIDE = ("dataset", "replace", "incremental")
# What a value takes in a row while it is sorted, its text in the row's JSON included: partitions are sized by it, so that they
# fit into a task's share of a small heap and are not spilled.
_VALUE_BYTES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class TableJob:
    """Turn a table into a dataset: join, label, refuse rows without label, leave columns out, split, publish.

    Attributes:
        source: URL of the table: a file or a directory of CSV, JSON lines, Parquet or ORC; `hive:TABLE` or `hive:SELECT …`;
            `jdbc:…#TABLE` or `jdbc:…#TABLE#COLUMN/PARTS` (JDBC_USER, JDBC_PASSWORD).
        dataset: URL of the dataset to publish; nothing may be there yet, but for `replace`.
        label: the column to predict, or NAME=EXPRESSION in Spark SQL, such as `late=arr_delay > 15`.
        replace: publish a new version of a dataset that is there; readers see the old one or the new one.
        incremental: with `replace`: nothing is done if no file, option or rule has changed since the version that is there; rules
            look at all rows, so otherwise the whole is made anew.
        max_refused: how many rows may be refused, `[REASON=]NUMBER[%]`, the reason being `label_missing` or a rule such as
            `month.range`, whose filled and warned rows count, too; more end the job before anything is published.
        map_keys: keys of a map that become columns, `COLUMN:KEY[,KEY…]`; structs are flattened by themselves.
        drop: columns to leave out, `[RULE:]A,B`; the rule's name tells why and stands in the manifest.
        rename: columns of the source to call otherwise, `OLD=NEW[,OLD=NEW]`; all other options use the new names.
        join: other tables, `[NAME=]URL:key_here=key_there[,…]`; their columns become NAME_COLUMN.
        categorical: whole-number columns that are categories, `A,B`; text and boolean columns always are.
        split_key: columns `A,B` whose equal values stay in one split; by default a row's all.
        split: shares of the splits.
        split_from: take the split from the path of a row's file instead: `folder` by directories or files called train, val, test
            and the like, or `path:REGEX`, whose first group is such a name.
        seed: of the split and of the order in the files.
        null_value: the text that means null in CSV, besides nothing at all; text in quotes is never null.
        types: types of columns, `A=TYPE[,B=TYPE…]`: integer, number, text, boolean, date, timestamp; by default those of CSV are
            found out from all values (docs/tables.md). A row with a value that is none is refused as `A.type`.
        separator: between values in CSV; by default a comma, in `.tsv` a tab.
        quote: around values in CSV.
        encoding: of CSV and JSON files; by default UTF-8, or UTF-16 where a byte order mark says so.
        decimal_comma: whether numbers in CSV have a comma where others have a point.
        thousands: the character between groups of three digits of numbers in CSV.
        rules: URL of a YAML file of rules (docs/tables.md); `bigdata-ml profile` suggests one.
        min_count: values of a category with fewer train rows become the unknown one.
        max_vocabulary: of the others so many most frequent ones are kept.
        max_classes: how many classes a label of text, booleans or whole numbers may have; more end the job.
        row_group_bytes: Arrow bytes a row group aims at.
        select_features: how many columns to keep besides the label, `120` or `10%`: those that tell most of it, found on the
            train rows (docs/tables.md); by default all.
    """

    source: str
    dataset: str
    label: str
    replace: bool = False
    incremental: bool = False
    max_refused: tuple[str, ...] = ()
    map_keys: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    rename: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    categorical: str = ""
    split_key: str = ""
    split: str = "train=0.8,validation=0.1,test=0.1"
    split_from: str = ""
    seed: int = 0
    null_value: str = ""
    types: tuple[str, ...] = ()
    separator: str = ""
    quote: str = '"'
    encoding: str = ""
    decimal_comma: bool = False
    thousands: str = ""
    rules: str = ""
    min_count: int = 1
    max_vocabulary: int = 100_000
    max_classes: int = 100_000
    row_group_bytes: int = 8 << 20
    select_features: str = ""

    def __post_init__(self) -> None:
        if self.incremental and not self.replace:
            raise ValueError("incremental makes a new version of a dataset that is there: it goes with replace")
        if self.min_count < 1 or self.max_vocabulary < 1:
            raise ValueError(f"min_count and max_vocabulary must be 1 or more, got {self.min_count} and {self.max_vocabulary}")
        if self.max_classes < 1:
            raise ValueError(f"max_classes must be 1 or more, got {self.max_classes}")
        if self.split_from:
            SplitFrom(self.split_from)
            if self.split_key:
                raise ValueError("split_key says which rows stay together in a new split; with split_from it says nothing")
            if not is_file_source(self.source):
                raise ValueError("split_from takes splits from the paths of files; a table of a database has none")
        if self.select_features:
            FeatureSelection.parse(self.select_features)
        for url in (self.source, self.dataset, *self.join, self.rules):
            # Arguments stand in the manifest.
            refuse_credentials(url)
        # They say by themselves what is wrong with them.
        _ = self.limits, parse_map_keys(self.map_keys), parse_rename(self.rename), parse_types(self.types), self.form

    @property
    def limits(self) -> list[Limit]:
        """How many rows may be refused."""
        return [Limit.parse(text) for text in self.max_refused]

    @property
    def form(self) -> TextFormat:
        """How text files are written."""
        return TextFormat(
            separator=self.separator,
            quote=self.quote,
            encoding=self.encoding,
            decimal_comma=self.decimal_comma,
            thousands=self.thousands,
            null_value=self.null_value,
        )

    @property
    def needs_hive(self) -> bool:
        """Whether a source is a Hive table."""
        return self.source.startswith("hive:") or any("hive:" in join for join in self.join)


def prepare_table(spark: SparkSession, job: TableJob, *, rules: TableRules | None = None) -> Manifest:
    """Run the job; returns the manifest of what was published.

    Args:
        spark: the session.
        job: what to do.
        rules: rules made in Python, instead of the file that the job names.

    Raises:
        JobRefused: nothing to read, a column that is not there, a join that multiplies rows, rules that are none or that refuse
            the job, no row or one class left, a destination that exists; nothing is published then.
        ValueError: an argument that makes no sense.
    """
    if rules is not None and job.rules:
        raise ValueError("rules come from the job's file or from Python, not from both")
    with refused_by_spark(job.source):
        found = with_types(rules or (read_rules(job.rules) if job.rules else TableRules()), parse_types(job.types))
        return _prepare(spark, job, TableCleaner.of(found, form=job.form))


def _prepare(spark: SparkSession, job: TableJob, cleaner: TableCleaner) -> Manifest:
    refuse_existing(locate(job.dataset), replace=job.replace)
    check_reasons(
        job.limits, ("label_missing", "not_utf8", "no_split", *MALFORMED_ROWS, *(one.name for one in cleaner.book.rules))
    )
    check_patterns(spark, cleaner.rules.columns)
    joins = [Join.parse(text) for text in job.join]
    drops = [DropRule.parse(text) for text in job.drop]
    urls = (job.source, *(join.url for join in joins), *cleaner.referenced)
    listings = [list_source(url) for url in urls if is_file_source(url)]
    options = {name: value for name, value in asdict(job).items() if name not in _ASIDE}
    now = made_of(listings, {"job": options, "rules": asdict(cleaner.rules), "versions": _VERSIONS})
    if job.incremental:
        all_told = len(listings) == len(urls)
        there = up_to_date(locate(job.dataset), now) if all_told else "tables of databases tell no time of change"
        if isinstance(there, Manifest):
            say(f"{job.dataset} is up to date: nothing has changed since version {there.publication} was made")
            return there
        say(f"the whole of {job.source} is read: {there}")
    dropping = {name for one in drops for name in one.columns}
    elsewhere = _named_elsewhere(job, cleaner)
    read = source_table(
        spark,
        job.source,
        form=job.form,
        as_text=cleaner.typed,
        file_column="__source",
        torn_column="__torn",
        drop=dropping - elsewhere,
        rename=parse_rename(job.rename),
    )
    left_out = dict(read.left_out)
    types = {job.source: chosen_types(read.types, cleaner.rules)} if read.types else {}
    source = flatten(read.rows, map_keys=parse_map_keys(job.map_keys), keep=dropping)
    rows = source.transform(with_source).transform(with_violations).transform(nan_to_null)
    own = _visible(rows)
    rows = refuse_broken_text(rows, own)
    given = SplitFrom(job.split_from) if job.split_from else None
    if given is None and is_file_source(job.source):
        warn_of_given_splits(job.source, listings[0].files.column("path").to_pylist())
    if given is not None:
        rows = rows.withColumn("__given", given.of(F.col("__source"), below=listings[0].root.path))
        rows = refuse_no_split(rows, F.col("__given"), path="__source", reason="__reason", detail="__detail")
    rows = cleaner.by_row(rows, own)
    hashable = tuple(name for name in own if "map<" not in rows.schema[name].dataType.simpleString())
    rule = SplitRule.parse(job.split, key=_names(job.split_key) or hashable, seed=job.seed)
    rule = replace(rule, given=job.split_from)
    _check_columns(hashable, rule.key, "--split-key")
    for join in joins:
        known = set(rows.columns)
        prefix = f"{join.name}_"
        unwanted = {name.removeprefix(prefix) for name in dropping - elsewhere if name.startswith(prefix)}
        unwanted -= {there for _, there in join.keys}
        found = source_table(spark, join.url, form=job.form, as_text=_typed_there(cleaner, join), drop=unwanted, prefix=prefix)
        left_out.update((prefix + name, why) for name, why in found.left_out.items())
        if found.types:
            types[join.url] = chosen_types(found.types, cleaner.rules, prefix=prefix)
        other = flatten(_with_keys_as_text(found, rows, join, _typed_there(cleaner, join)))
        rows = rows.transform(join_table, other, join)
        rows = refuse_broken_text(rows, [name for name in _visible(rows) if name not in known])
        refuse_shared_keys(other, join)
    for line in (line for url, chosen in types.items() for line in type_lines(url.partition("?")[0], chosen)):
        say(line)
    cleaner.check_columns(_visible(rows))
    rows = cleaner.by_row(rows.transform(nan_to_null), [name for name in _visible(rows) if name not in own])
    rows, label = add_label(rows, job.label)
    unlabelled = next((one.name for one in drops if label in one.columns), None)
    if unlabelled is not None:
        raise JobRefused(f"rule {unlabelled!r} drops the label {label!r}; leave it out of --drop")
    rows = rows.transform(refuse_missing_label, label=label).transform(assign_split, rule, mix_by=hashable)
    if given is not None:
        rows = rows.withColumn("split", F.coalesce("__given", "split")).drop("__given")
    rows = cleaner.among_rows(rows, read=lambda url: source_table(spark, url, form=job.form, lenient=True).rows)
    dropped = rows.transform(drop_columns, drops, left_out=left_out)
    _check_columns(_visible(dropped), _names(job.categorical), "--categorical")
    rows = rows.select(*(named(name) for name in rows.columns if name in dropped.columns or name in cleaner.bounded))
    with stage_progress(spark.sparkContext, "count"):
        # The source is counted by itself, so that a join that loses or multiplies rows is seen.
        before = source.count() if read.text is None else read.text.rows
    rows = (
        rows.repartition(partitions_for(before * len(rows.columns) * _VALUE_BYTES), "__place")
        .sortWithinPartitions("__place", "__row")
        .persist(StorageLevel.DISK_ONLY)
    )
    try:
        with stage(job.dataset, replace=job.replace) as staging:
            for place in staging.debris:
                say(f"deleted what a killed job left: {place}")
            with stage_progress(spark.sparkContext, "read, join, split", rows=before):
                bounded, bounds = cleaner.outliers(rows)
                cleaned = bounded.select(*map(named, dropped.columns))
                tally = tally_rules(cleaned, cleaner.book)
                for listing in listings:
                    listing.refuse_changed()
                if given is not None:
                    warn_of_shared_rows(cleaned)
                reports = join_reports(cleaned, joins, before=before)
            what = CleanedTable(cleaned, label, rule, drops, reports, tally, cleaner.words(bounds), types)
            _check_label(job, what)
            check_limits(job.source, job.limits, tally.refused, tally.noted, found=tally.found)
            return _write(spark, job, what, staging, listings, now)
    finally:
        rows.unpersist()


def _write(
    spark: SparkSession,
    job: TableJob,
    cleaned: CleanedTable,
    staging: Staging,
    listings: Sequence[Listing],
    made_of_these: Mapping[str, Any],
) -> Manifest:
    label = cleaned.label
    with stage_progress(spark.sparkContext, "look at the columns", rows=cleaned.tally.kept):
        learned = learn_columns(
            cleaned.kept, label, categorical=_names(job.categorical), select=job.select_features, seed=job.seed
        )
    for leak in learned.leaks:
        say(
            f"warning: column {leak.column} alone tells the label {label} ({leak.told:.1%} of the errors of a guess are saved); "
            "if it is known only afterwards, leave it out by --drop"
        )
    cleaned = replace(cleaned, rows=cleaned.rows.drop(*learned.dropped))
    kept = cleaned.kept
    with stage_progress(spark.sparkContext, "count categories, take quantiles", rows=cleaned.tally.kept):
        schema = learned.schema
        train = kept.where(F.col("split") == "train")
        names = [one.name for one in schema if one.vocabulary and one.name != label]
        vocabularies = feature_vocabularies(train, names, min_count=job.min_count, max_values=job.max_vocabulary)
        if schema[label].vocabulary:
            vocabularies[label] = label_vocabulary(kept, label, splits=cleaned.split.names)
        shares = column_quantiles(train, numbers_of(schema))
    sink = Sink(
        schema=schema,
        options=WriteOptions(row_group_bytes=job.row_group_bytes),
        encode=_Encode(schema),
        refuse=refused_table_rows,
        reason="__reason",
    )
    with stage_progress(spark.sparkContext, "write", rows=cleaned.tally.kept):
        written = sink.write(cleaned.rows, staging)
    for name in sorted(cleaned.split.names - written.rows_by_split().keys()):
        say(f"warning: the split {name} got no rows; give more rows, other shares, or another --seed")
    provenance = {
        "job": "prepare_table",
        "arguments": asdict(job),
        "source": locate(job.source).url if is_file_source(job.source) else job.source.partition("?")[0],
        "joins": [report.to_json() for report in cleaned.joins],
        "tells_the_label": {one.column: one.told for one in learned.leaks},
        "debris_deleted": list(staging.debris),
        "versions": _VERSIONS,
        MADE_OF: made_of_these,
    }
    contract = table_contract(cleaned, learned, vocabularies, shares, written, provenance)
    pages = table_quality(job.dataset, contract, cleaned, learned, written)
    for listing in listings:
        # Rows that were lost with an executor were read again.
        listing.refuse_changed()
    manifest = publish(staging, written.files, contract, quarantine=written.quarantine, pages=pages)
    for report in cleaned.joins:
        counts = f"{report.matched} matched, {report.unmatched} unmatched, {report.multiplied} multiplied"
        say(f"join {report.name} ({report.keys}): {counts}")
    say(f"published {manifest.rows} rows as {job.dataset}")
    return manifest


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _named_elsewhere(job: TableJob, cleaner: TableCleaner) -> set[str]:
    """Return the words of the options that use columns before any is dropped."""
    words = re.findall(r"\w+", " ".join((job.label, job.split_key, job.categorical, *job.join, *job.map_keys)))
    return {
        *words,
        *(one.name for one in cleaner.rules.columns),
        *(cleaner.rules.duplicates.key if cleaner.rules.duplicates else ()),
    }


def _typed_there(cleaner: TableCleaner, join: Join) -> list[str]:
    """Return the columns of a joined table to which rules give a type."""
    prefix = f"{join.name}_"
    return [name.removeprefix(prefix) for name in cleaner.typed if name.startswith(prefix)]


def _with_keys_as_text(found: SourceTable, rows: DataFrame, join: Join, as_text: Sequence[str]) -> DataFrame:
    """Return a joined table; a key of a text file that is text here is the text that stands there."""
    kinds = {field.name: field.dataType.simpleString() for field in rows.schema}
    texts = [there for here, there in join.keys if kinds.get(here) == "string"]
    return found.rows if found.text is None or not texts else found.text.read(as_text=[*as_text, *texts])


def _visible(rows: DataFrame) -> tuple[str, ...]:
    return tuple(name for name in rows.columns if not name.startswith("__") and name != "split")


def _check_columns(there: tuple[str, ...], wanted: tuple[str, ...], option: str) -> None:
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise JobRefused(f"{option}: no column {', '.join(unknown)}; the columns are {', '.join(there)}")


def _check_label(job: TableJob, cleaned: CleanedTable) -> None:
    tally, label = cleaned.tally, cleaned.label
    if not tally.found:
        raise JobRefused(f"{job.source}: it has no rows")
    if not tally.kept and set(tally.refused) == {"label_missing"}:
        raise JobRefused(f"{job.source}: no row is left, the label {label!r} is null in all {tally.found}")
    if not tally.kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in tally.refused.items())
        raise JobRefused(f"{job.source}: no row is left, refused were {reasons}; check the rules against `bigdata-ml profile`")
    counted = cleaned.kept.agg(F.count_distinct(named(label)), F.first(named(label))).collect()[0]
    if counted[0] < 2:
        raise JobRefused(
            f"{job.source}: the label {label!r} has one class, {counted[1]!r}, in all {tally.kept} rows, "
            "and nothing can be learned from one; check --label"
        )
    if has_classes(cleaned.kept, label):
        way_out = f"a number to be predicted is floating: --label '{label}_number=cast({label} as double)'"
        refuse_many_classes(job.source, label, counted[0], most=job.max_classes, way_out=way_out)


@dataclass(frozen=True, slots=True)
class _Encode:
    """Runs on the executors."""

    schema: Schema

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.select(list(self.schema.names)).cast(self.schema.to_arrow())
