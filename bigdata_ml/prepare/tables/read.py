"""Reads the source and its joined tables, applies the rules, and adds label and split; nothing is computed yet."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.progress import say
from bigdata_ml.prepare.sources.any_source import is_file_source, source_table
from bigdata_ml.prepare.sources.listing import Listing
from bigdata_ml.prepare.sources.tables.flatten import flatten, parse_map_keys
from bigdata_ml.prepare.sources.tables.source_table import SourceTable
from bigdata_ml.prepare.sources.text_files.inferred_types import ColumnType
from bigdata_ml.prepare.split.by_hash import SplitRule, assign_split
from bigdata_ml.prepare.split.from_paths import SplitFrom, refuse_no_split, warn_of_given_splits
from bigdata_ml.prepare.tables import steps
from bigdata_ml.prepare.tables.cleaning import TableCleaner
from bigdata_ml.prepare.tables.joins import Join, join_table, refuse_shared_keys
from bigdata_ml.prepare.tables.options import TableJob
from bigdata_ml.prepare.tables.rules.rulebook import with_violations
from bigdata_ml.prepare.tables.steps import DropRule, nan_to_null, parse_names, visible_columns
from bigdata_ml.prepare.tables.type_report import chosen_types, type_lines

__all__ = ["JoinedTable", "read_joined"]


@dataclass(frozen=True, slots=True)
class JoinedTable:
    """A source with its joined columns, label and split.

    Attributes:
        rows: all rows, with `__reason`, `split` and all columns that later rules need.
        source: the rows before the joins.
        source_rows: their number, if known already.
        columns: the columns that remain, the job's own included.
        label: the label's column.
        split: how rows are split.
        drops: rules that drop columns.
        types: types of the columns of text files, by source.
    """

    rows: DataFrame
    source: DataFrame
    source_rows: int | None
    columns: Sequence[str]
    label: str
    split: SplitRule
    drops: Sequence[DropRule]
    types: Mapping[str, Sequence[ColumnType]]


def read_joined(
    spark: SparkSession, job: TableJob, joins: Sequence[Join], cleaner: TableCleaner, listings: Sequence[Listing]
) -> JoinedTable:
    """Return the job's table.

    Args:
        spark: the session.
        job: the options.
        joins: the tables to join.
        cleaner: applies the rules, except those on outliers.
        listings: of the sources that are files.

    Raises:
        JobRefused: a source cannot be read, a column does not exist, or a join would multiply rows.
    """
    drops = [DropRule.parse(text) for text in job.drop]
    dropped = {name for rule in drops for name in rule.columns}
    unread = dropped - _columns_in_use(job, cleaner)
    source = source_table(
        spark,
        job.source,
        form=job.form,
        as_text=cleaner.typed,
        file_column="__source",
        torn_column="__torn",
        drop=unread,
        rename=steps.parse_rename(job.rename),
    )
    left_out = dict(source.left_out)
    types = {job.source: chosen_types(source.types, cleaner.rules)} if source.types else {}
    flat = flatten(source.rows, map_keys=parse_map_keys(job.map_keys), keep=dropped)
    rows = flat.transform(steps.with_source).transform(with_violations).transform(nan_to_null)
    own = visible_columns(rows)
    rows = _with_given_split(steps.refuse_broken_text(rows, own), job, listings)
    rows = cleaner.by_row(rows, own)
    hashable = tuple(name for name in own if "map<" not in rows.schema[name].dataType.simpleString())
    split = SplitRule.parse(job.split, key=parse_names(job.split_key) or hashable, seed=job.seed)
    split = replace(split, given=job.split_from)
    _check_columns(hashable, split.key, "--split-key")
    for join in joins:
        known, prefix = set(rows.columns), f"{join.name}_"
        typed = [name.removeprefix(prefix) for name in cleaner.typed if name.startswith(prefix)]
        unwanted = {name.removeprefix(prefix) for name in unread if name.startswith(prefix)} - {there for _, there in join.keys}
        table = source_table(spark, join.url, form=job.form, as_text=typed, drop=unwanted, prefix=prefix)
        left_out.update((prefix + name, why) for name, why in table.left_out.items())
        if table.types:
            types[join.url] = chosen_types(table.types, cleaner.rules, prefix=prefix)
        right = flatten(_with_keys_as_text(table, rows, join, typed))
        rows = rows.transform(join_table, right, join)
        rows = steps.refuse_broken_text(rows, [name for name in visible_columns(rows) if name not in known])
        refuse_shared_keys(right, join)
    for url, chosen in types.items():
        for line in type_lines(url.partition("?")[0], chosen):
            say(line)
    cleaner.check_columns(visible_columns(rows))
    rows = cleaner.by_row(rows.transform(nan_to_null), [name for name in visible_columns(rows) if name not in own])
    rows, label = steps.add_label(rows, job.label)
    for rule in drops:
        if label in rule.columns:
            raise JobRefused(f"rule {rule.name!r} drops the label {label!r}; remove it from --drop")
    rows = rows.transform(steps.refuse_missing_label, label=label).transform(assign_split, split, mix_by=hashable)
    if job.split_from:
        rows = rows.withColumn("split", F.coalesce("__given", "split")).drop("__given")
    rows = cleaner.among_rows(rows, read=lambda url: source_table(spark, url, form=job.form, lenient=True).rows)
    remaining = rows.transform(steps.drop_columns, drops, left_out=left_out)
    _check_columns(visible_columns(remaining), parse_names(job.categorical), "--categorical")
    columns = remaining.columns
    rows = rows.select(*(named(name) for name in rows.columns if name in columns or name in cleaner.bounded))
    known_rows = None if source.text is None else source.text.rows
    return JoinedTable(rows, flat, known_rows, columns, label, split, drops, types)


def _with_given_split(rows: DataFrame, job: TableJob, listings: Sequence[Listing]) -> DataFrame:
    if job.split_from:
        given = SplitFrom(job.split_from).of(F.col("__source"), below=listings[0].root.path)
        rows = rows.withColumn("__given", given)
        return refuse_no_split(rows, F.col("__given"), path="__source", reason="__reason", detail="__detail")
    if is_file_source(job.source):
        warn_of_given_splits(job.source, listings[0].files.column("path").to_pylist())
    return rows


def _columns_in_use(job: TableJob, cleaner: TableCleaner) -> set[str]:
    """Return all words of the options and rules that use columns before any is dropped."""
    words = re.findall(r"\w+", " ".join((job.label, job.split_key, job.categorical, *job.join, *job.map_keys)))
    duplicates = cleaner.rules.duplicates
    return {*words, *(rules.name for rules in cleaner.rules.columns), *(duplicates.key if duplicates else ())}


def _with_keys_as_text(table: SourceTable, rows: DataFrame, join: Join, as_text: Sequence[str]) -> DataFrame:
    """Return a joined table; a key of a text file is read as text if its counterpart in `rows` is text."""
    kinds = {field.name: field.dataType.simpleString() for field in rows.schema}
    texts = [there for here, there in join.keys if kinds.get(here) == "string"]
    return table.rows if table.text is None or not texts else table.text.read(as_text=[*as_text, *texts])


def _check_columns(existing: Sequence[str], wanted: Sequence[str], option: str) -> None:
    unknown = [name for name in wanted if name not in existing]
    if unknown:
        raise JobRefused(f"{option}: no column {', '.join(unknown)}; the columns are {', '.join(existing)}")
