"""Image files and their labels, as all sources of images return them."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.listing import Listing
from bigdata_ml.prepare.sources.packed import Packs
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.sources.text_files.stream import TextPart, texts_of
from bigdata_ml.prepare.sources.text_files.table import text_table
from bigdata_ml.storage import Location, locate

__all__ = ["ImageFiles", "LabelFile", "labelled"]


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A CSV or JSON file of labels: its URL, and how it is written."""

    url: str
    form: TextFormat = field(default_factory=TextFormat)


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Images as files.

    Attributes:
        rows: columns `path` (relative to the source), `label` (text or null), `content` (the file's bytes).
        files: their number.
        bytes: their total size.
        empty_classes: folders directly below the source without files.
        passed_over: number of skipped files by reason, such as `hidden` and `unfinished`.
        listing: of the source; None before it is listed.
        packed: whether the images are members of these files.
        packs: the same images before they are read; None if Spark reads them. See `Packs.read_then`.
        label_from: source of the labels.
    """

    rows: DataFrame
    files: int
    bytes: int
    empty_classes: tuple[str, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    listing: Listing | None = None
    packed: bool = False
    packs: Packs | None = None
    label_from: str | LabelFile = "folder"

    def refuse_changed(self) -> None:
        """Raise JobRefused, naming the file, if a listed file was removed or changed."""
        if self.listing is not None:
            self.listing.refuse_changed()


def labelled(spark: SparkSession, rows: DataFrame, label_from: str | LabelFile) -> DataFrame:
    """Add a `label` to rows with a `path`.

    Args:
        spark: the session.
        rows: with a column `path`.
        label_from: `folder` uses the name of the folder of a file, null at the top of the source or of an archive; `none` gives
            no labels; otherwise a label file or its URL. It is CSV with the columns `path` (relative to the source) and `label`,
            JSON lines or an array with these fields, or one JSON object of labels by path. Labels stay unchanged text.

    Raises:
        JobRefused: the label file does not exist, has another form or a malformed row, or names a path twice.
    """
    if label_from == "none":
        return rows.withColumn("label", F.lit(None).cast("string"))
    if label_from == "folder":
        folder = F.element_at(F.split("path", "/"), -2)
        inside = F.contains("path", F.lit("/")) & ~F.endswith(folder, F.lit("!"))
        return rows.withColumn("label", F.when(inside, folder))
    file = label_from if isinstance(label_from, LabelFile) else LabelFile(label_from)
    labels = _labels(spark, locate(file.url), file.form)
    return rows.join(labels, on="path", how="left")


def _labels(spark: SparkSession, place: Location, form: TextFormat) -> DataFrame:
    if not place.exists():
        raise JobRefused(
            f"{place.url}: no such file; --label-from is 'folder', 'none', or a CSV or JSON file with the columns path,label"
        )
    is_json = place.name.lower().endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz"))
    if is_json and (labels_of := _object_of_labels(place, form)) is not None:
        labels = spark.createDataFrame(labels_of, "path string, label string")
    else:
        ending = ".tsv" if place.name.lower().endswith((".tsv", ".tsv.gz")) else ".csv"
        size = {"": int(place.info().size or 0)}
        kind = "json" if is_json else "csv"
        read = text_table(spark, place, size, kind=kind, separator=form.separator_of(ending), form=form)
        labels = read.read(as_text=[column.name for column in read.types])
    missing = [name for name in ("path", "label") if name not in labels.columns]
    if missing:
        raise JobRefused(
            f"{place.url}: no column {missing[0]!r}; a label file has the columns path,label, this has {labels.columns}"
        )
    labels = labels.select("path", F.col("label").cast("string").alias("label"))
    twice = labels.groupBy("path").count().where("count > 1").limit(1).collect()
    if twice:
        raise JobRefused(f"{place.url}: {twice[0]['path']!r} stands there more than once; a file has one label")
    return labels


def _object_of_labels(place: Location, form: TextFormat) -> list[tuple[str, str]] | None:
    """Return the labels if the file is one JSON object of labels by path; None if it has rows."""
    begins = ""
    with closing(texts_of(TextPart(url=place.url, size=int(place.info().size or 0)), form)) as texts:
        begins = next(texts, "").lstrip()
        if begins.startswith("[") or ('"path"' in begins.partition("\n")[0] and "}" in begins.partition("\n")[0]):
            return None
        whole = begins + "".join(texts)
    try:
        pairs = json.loads(whole, object_pairs_hook=list, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise JobRefused(f"{place.url}: is neither JSON lines with path and label nor one JSON object: {error}") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) and isinstance(pair[1], str) for pair in pairs):
        raise JobRefused(f"{place.url}: must be JSON lines with path and label, or one object that gives each path its label")
    return pairs
