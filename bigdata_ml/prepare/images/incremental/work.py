"""What an image job has to judge: every file, each inspected now or known from the version that is there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.images.incremental.known_files import about_inspection, known_files
from bigdata_ml.prepare.images.inspect import INSPECTED, Inspection, inspect_images, inspect_packs
from bigdata_ml.prepare.session.progress import say
from bigdata_ml.prepare.sources.image_files.files import ImageFiles, LabelFile, labelled
from bigdata_ml.prepare.sources.image_files.folders import packs_listed
from bigdata_ml.prepare.sources.packed import Packs
from bigdata_ml.storage import Location

__all__ = ["Work", "incremental_work", "whole_work"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Files to judge.

    Attributes:
        files: the source's.
        inspected: all of them, `INSPECTED`; `content` is null where `stored` has it.
        stored: columns `sha256` and `stored` of the version that is there; None if every file is inspected.
        only_pixels: whether `stored` is of pixels, so that the files' own bytes cannot be had of it.
        counts: of an incremental job, for people: files unchanged, new, changed, gone and read, or why all are read.
    """

    files: ImageFiles
    inspected: DataFrame
    stored: DataFrame | None = None
    only_pixels: bool = False
    counts: Mapping[str, Any] | None = None


def whole_work(spark: SparkSession, files: ImageFiles, inspection: Inspection, *, because: str = "") -> Work:
    """Return the work of a job that reads every file; `because` says why one does that was to read the changed ones."""
    counts = {"all_read_because": because, "read": files.files} if because else None
    if files.packs is None:
        return Work(files=files, inspected=inspect_images(files.rows, inspection), counts=counts)
    return Work(files=files, inspected=_read_labelled(spark, files.packs, inspection, files.label_from), counts=counts)


def _read_labelled(spark: SparkSession, packs: Packs, inspection: Inspection, label_from: str | LabelFile) -> DataFrame:
    rows = labelled(spark, inspect_packs(packs, inspection).drop("label"), label_from)
    return rows.select(*(field.name for field in INSPECTED))


@contextmanager
def incremental_work(
    spark: SparkSession, destination: Location, files: ImageFiles, inspection: Inspection, *, source: str
) -> Iterator[Work | str]:
    """Give the work of a job that reads new and changed files alone, or why nothing is known of any; runs Spark jobs.

    Raises:
        JobRefused: files that are members of others, or metadata of the version that is there that are damaged.
    """
    listing = files.listing
    if listing is None or files.packed:
        raise JobRefused(
            f"{source}: --incremental tells a changed file by its size and time, and these images are members of other files; "
            "run without it, or unpack them and name the folder"
        )
    about, raw = about_inspection(inspection, listing), inspection.storage.encoding == "raw"
    with known_files(spark, destination, listing, about, raw=raw) as known:
        if isinstance(known, str):
            yield known
            return
        counts_text = ", ".join(f"{known.counts[name]:,} {name}" for name in ("unchanged", "new", "changed", "gone"))
        say(f"{files.files:,} files: {counts_text}; {known.counts['read']:,} are read")
        read = _read_labelled(spark, packs_listed(spark, listing, known.to_read), inspection, files.label_from)
        facts = labelled(spark, known.facts, files.label_from)
        yield Work(
            files=files,
            inspected=read.unionByName(facts),
            stored=known.stored,
            only_pixels=known.as_pixels,
            counts=known.counts,
        )
