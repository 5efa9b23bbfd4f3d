"""Read the source that a URL names."""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Literal

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.sources.image_files.archives import archives, is_archive
from bigdata_ml.prepare.sources.image_files.files import ImageFiles, LabelFile
from bigdata_ml.prepare.sources.image_files.folders import images
from bigdata_ml.prepare.sources.image_files.raw_pixels import cifar, idx
from bigdata_ml.prepare.sources.image_files.sequence_files import sequence_files
from bigdata_ml.prepare.sources.listing import list_source
from bigdata_ml.prepare.sources.tables.files import file_table
from bigdata_ml.prepare.sources.tables.hive import hive
from bigdata_ml.prepare.sources.tables.jdbc import JdbcParts, jdbc
from bigdata_ml.prepare.sources.tables.source_table import SourceTable
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.shown import refuse_credentials
from bigdata_ml.storage import locate

__all__ = ["ImageFormat", "any_images", "any_table", "is_file_source", "is_reserved", "source_table"]

ImageFormat = Literal["auto", "files", "archives", "sequence-files", "idx", "cifar"]
_READERS: dict[str, Callable[..., ImageFiles]] = {
    "archives": archives,
    "sequence-files": sequence_files,
    "idx": idx,
    "cifar": cifar,
}
_HIVE, _JDBC = "hive:", "jdbc:"


def any_images(
    spark: SparkSession, url: str, *, kind: ImageFormat = "auto", label_from: str | LabelFile = "folder"
) -> ImageFiles:
    """Return the images of any kind of source; `auto` reads archives by their names, and anything else as files.

    Raises:
        JobRefused: see the source of that kind.
    """
    if kind == "auto":
        place = locate(url)
        kind = "archives" if is_archive(place.name) and place.is_file() else "files"
    if kind == "files":
        return images(spark, url, label_from=label_from)
    listing = list_source(url)
    return replace(_READERS[kind](spark, url, label_from=label_from), listing=listing, packed=True)


def is_file_source(url: str) -> bool:
    """Whether the source of a table is a file or a directory of files."""
    return not url.startswith((_HIVE, _JDBC))


def any_table(
    spark: SparkSession,
    url: str,
    *,
    null_value: str = "",
    as_text: Collection[str] = (),
    file_column: str = "",
    form: TextFormat | None = None,
) -> DataFrame:
    """Return the rows of a table's source.

    Args:
        spark: the session.
        url: of files; `hive:TABLE` or `hive:SELECT …`; `jdbc:SUBPROTOCOL:…#TABLE`, or `…#TABLE#COLUMN/PARTS` to read
            that many parts by that column (see `jdbc`). JDBC_USER and JDBC_PASSWORD in the environment name user and password.
        null_value, as_text, file_column, form: as for `table`. Hive and databases keep their types, and the file column
            holds the name of the source.

    Raises:
        JobRefused: see the source of that kind.
        ValueError: a `jdbc:` URL has no table, or its parts are malformed.
    """
    form = form or TextFormat()
    form = replace(form, null_value=null_value or form.null_value)
    return source_table(spark, url, form=form, as_text=as_text, file_column=file_column).rows


def source_table(
    spark: SparkSession,
    url: str,
    *,
    form: TextFormat,
    as_text: Collection[str] = (),
    file_column: str = "",
    torn_column: str = "",
    drop: Collection[str] = (),
    rename: Mapping[str, str] | None = None,
    lenient: bool = False,
    prefix: str = "",
) -> SourceTable:
    """Return the rows of a table, its omitted columns, and the inferred types.

    Args:
        spark, url, form, file_column: as for `any_table`.
        as_text: columns, by their new names.
        torn_column: add a column of that name with the error of each malformed row, see `TextTable.read`.
        drop: columns that are not needed: unreadable ones, and those with reserved names, are omitted immediately.
        rename: new names by old ones.
        lenient: omit every column that cannot be read.
        prefix: the prefix of a joined table's columns in `--drop`, for errors.

    Raises:
        JobRefused: see `any_table`; a column to rename does not exist, or a new name is taken.
        ValueError: see `any_table`.
    """
    new = dict(rename or {})
    # URLs of references in rules are first checked here.
    if not url.startswith(_HIVE):
        refuse_credentials(url)
    if is_file_source(url):
        old = {after: before for before, after in new.items()}
        source = file_table(
            spark,
            url,
            form=form,
            as_text=[old.get(name, name) for name in as_text],
            file_column=file_column,
            torn_column=torn_column,
            drop=drop,
            keep=new,
            lenient=lenient,
            prefix=prefix,
        )
    else:
        if url.startswith(_HIVE):
            query = url.removeprefix(_HIVE)
            is_query = query.lstrip().lower().startswith(("select ", "select\n", "with "))
            rows = hive(spark, query=query) if is_query else hive(spark, query)
        else:
            rows = _by_jdbc(spark, url)
        rows = rows.withColumn(file_column, F.lit(url.partition("?")[0])) if file_column else rows
        source = SourceTable(rows.withColumn(torn_column, F.lit(None).cast("string")) if torn_column else rows)
    rows = _renamed(source.rows, new, url)
    ours = {
        name: "a name of the job's"
        for name in rows.columns
        if name in drop and is_reserved(name) and name not in (file_column, torn_column)
    }
    types = tuple(replace(column, name=new.get(column.name, column.name)) for column in source.types)
    return SourceTable(rows.drop(*ours), {**source.left_out, **ours}, types=types, text=source.text)


def is_reserved(name: str) -> bool:
    """Whether a job reserves the name: `split` for directories, `__…` for internal columns."""
    return name.lower() == "split" or name.startswith("__")


def _renamed(rows: DataFrame, new: Mapping[str, str], url: str) -> DataFrame:
    unknown = [name for name in new if name not in rows.columns]
    if unknown:
        raise JobRefused(f"--rename: {url} has no column {unknown[0]!r}; it has {', '.join(rows.columns)}")
    stay = {name.lower() for name in rows.columns if name not in new}
    taken = [name for name in new.values() if name.lower() in stay]
    if taken:
        raise JobRefused(f"--rename: {url} has a column {taken[0]!r} already; give another name")
    return rows.select(*(named(name).alias(new.get(name, name)) for name in rows.columns)) if new else rows


def _by_jdbc(spark: SparkSession, url: str) -> DataFrame:
    address, *rest = url.split("#")
    if len(rest) not in (1, 2) or not rest[0]:
        raise ValueError(f"a database's source is jdbc:…#TABLE or jdbc:…#TABLE#COLUMN/PARTS, got {url!r}")
    parts = None
    if len(rest) == 2:
        column, slash, count = rest[1].rpartition("/")
        if not slash or not count.isdecimal():
            raise ValueError(f"parts of a database's table are COLUMN/PARTS, such as id/8, got {rest[1]!r}")
        parts = JdbcParts(column, int(count))
    known = {"user": os.environ.get("JDBC_USER"), "password": os.environ.get("JDBC_PASSWORD")}
    properties = {name: value for name, value in known.items() if value is not None}
    return jdbc(spark, address, rest[0], parts=parts, properties=properties)
