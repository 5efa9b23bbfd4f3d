"""What the image job says of its cleaning: the verdict, the rules in words, and the quality page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from bigdata_ml.dataset import QUARANTINE_SCHEMA, Cleaning, Contract
from bigdata_ml.dataset.layout import QUALITY, QUALITY_NUMBERS
from bigdata_ml.pages import Gallery, Picture, Section
from bigdata_ml.prepare.images.checks import CHECKS, ImageChecks
from bigdata_ml.prepare.images.decode import PictureRules
from bigdata_ml.prepare.images.inspect import thumbnail_of
from bigdata_ml.prepare.publish.quality import quality_page
from bigdata_ml.prepare.publish.sink import quarantine_batch

__all__ = ["Shown", "asked_for", "image_quality", "pictures_of", "refused_rows", "shown_of", "verdict"]

# Reason or warning → rule. In the order in which a file is judged.
RULES = {
    "unreadable": "a link to nothing, no regular file, a name that is not UTF-8, or a member that its archive does not give",
    "empty": "the file has no bytes",
    "wrong_type": "the file's first bytes are those of no image format that is decoded",
    "too_many_pixels": "its header says more pixels than --max-pixels; it is not decoded",
    "metadata_bomb": "compressed text or a profile inflates beyond 1 MiB a chunk or 64 MiB in all; it is not decoded",
    "truncated": "the file ends before the image does",
    "undecodable": "the image does not decode to its end",
    "multi_frame": "an animation or a file of several pages",
    "damaged": "the decoder complained of corrupt data and went on",
    "wrong_extension": "the file's name says another format than its content",
    "too_small": "the shorter side is below --min-side",
    "odd_aspect": "shorter by longer side is below --min-aspect",
    "too_dark": "99 % of the pixels are darker than --dark",
    "too_light": "95 % of the pixels are brighter than --light",
    "low_information": "the entropy of the grey levels is below --min-entropy",
    "blurry": "the variance of the Laplacian is below --min-sharpness",
    "near_grey": "a coloured image of which 99 % of the pixels show less colour than --min-colour",
    "label_missing": "no class folder, or no line in the label file",
    "label_conflict": "the same picture has different labels",
    "duplicate": "another file has the same bytes; the first by path is kept",
    "near_duplicate": "another image looks alike: their perceptual hashes differ in at most --near-distance of 64 bits",
    "near_label_conflict": "images that look alike have different labels",
    "not_compared": "no near duplicates of it are looked for: its shorter side is below 32 pixels, where neither its looks are "
    "judged, or it shows too little",
    "near_crowd": "so many hashes are alike in part that not all were compared with all; near duplicates may be missing",
    "no_group": "the path does not match --split-key; the image is a group of its own",
    "moved_with_group": "its own hash would have put it into another split than those it belongs to",
    "empty_class": "a class folder without files",
    "hidden": "its name, or a folder's, begins with _ or .; it is not looked at, nor counted among the files found",
    "unfinished": "its name ends in ._COPYING_, as of a file that is still being put on HDFS; likewise",
    "linked_again": "a link to a folder, or to an archive, that is read under another path",
    "other_ending": "its name does not end as those of such a source's files do; it is not looked at",
}
_BROKEN = ("unreadable", "empty", "wrong_type", "too_many_pixels", "metadata_bomb", "truncated", "undecodable")
_OF_LABELS = ("label_missing", "label_conflict", "near_label_conflict", "empty_class")
_OF_LOOKS = ("near_duplicate", "near_label_conflict", "not_compared", "near_crowd")
_SAME = ("label_missing", "label_conflict", "duplicate")
_NOTICED = (
    "label_conflict",
    "near_duplicate",
    "near_label_conflict",
    "not_compared",
    "near_crowd",
    "no_group",
    "moved_with_group",
    "empty_class",
    "hidden",
    "unfinished",
    "linked_again",
    "other_ending",
)

_SAMPLES = 24
_SAMPLES_A_NAME = 4
_GROUPS_SHOWN, _MEMBERS_SHOWN = 6, 4


def asked_for(checks: ImageChecks, *, labels: bool, looks: bool) -> Mapping[str, str]:
    """Return the rules that a job holds files against, in words; `looks` says whether it compares images by them."""
    unasked = {*checks.ignore, *(() if labels else _OF_LABELS), *(() if looks else _OF_LOOKS)}
    return {name: rule for name, rule in RULES.items() if name not in unasked}


def verdict(
    files: int,
    tally: Mapping[str | None, int],
    warned: Mapping[str, int],
    *,
    rules: PictureRules,
    checks: ImageChecks,
    asked: Mapping[str, str],
) -> Cleaning:
    """Return what became of the files; what was looked for (`asked`) and not found is named with 0."""
    looked_for = [name for name in CHECKS if name not in checks.refuse]
    refused = [*_BROKEN, *(["multi_frame"] if rules.frames == "refuse" else []), *checks.refuse, *_SAME, *tally]
    return Cleaning(
        found=files,
        kept=tally.get(None, 0),
        refused={reason: tally.get(reason, 0) for reason in refused if reason is not None and reason in asked},
        warned={name: warned.get(name, 0) for name in [*looked_for, *_NOTICED] if name in asked},
        rules=asked,
    )


def refused_rows(batch: pa.RecordBatch, *, raw: bool) -> pa.RecordBatch:
    """Return refused rows of an inspection with the quarantine's columns; `raw` says that content is pixels."""
    rows = (batch.slice(row, 1).to_pylist()[0] for row in range(batch.num_rows))
    return quarantine_batch(
        source=batch.column("path"),
        reason=batch.column("reason"),
        detail=batch.column("detail"),
        row=pa.nulls(batch.num_rows, pa.string()),
        thumbnail=pa.array([thumbnail_of(row, raw=raw) for row in rows], pa.binary()),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """Which files the quality page shows.

    Attributes:
        chosen: paths of some by what became of them: `kept`, `refused REASON`, `warned NAME`.
        near_groups: paths of images that look alike, by group, the largest groups first.
        rows: path → path, label, reason, detail, of those and of the first of the near groups.
    """

    chosen: Mapping[str, Sequence[str]]
    near_groups: Sequence[Sequence[str]]
    rows: Mapping[str, Mapping[str, Any]]


def shown_of(facts: DataFrame, near_groups: Sequence[Sequence[str]]) -> Shown:
    """Choose what the quality page shows; runs Spark jobs.

    Args:
        facts: all rows without their bytes: path, label, sha256, reason, detail, warnings.
        near_groups: paths of images that look alike, by group.
    """
    chosen, rows = _chosen(facts)
    alike = sorted({path for path, _ in _first_of(near_groups)} - rows.keys())
    if alike:
        alike_rows = facts.where(F.col("path").isin(alike)).select(*_SAID).collect()
        rows |= {row["path"]: row.asDict() for row in alike_rows}
    return Shown(chosen=chosen, near_groups=near_groups, rows=rows)


def pictures_of(batch: pa.RecordBatch, *, paths: frozenset[str], raw: bool) -> dict[str, bytes]:
    """Return PNGs of at most 64 × 64 pixels of those rows of an inspection that have these paths, where one can be had."""
    pictures = {}
    for row, path in enumerate(batch.column("path").to_pylist()):
        if path in paths:
            # Row by row: a content can be 50 MB.
            picture = thumbnail_of(batch.slice(row, 1).select(_CONTENT).to_pylist()[0], raw=raw)
            if picture is not None:
                pictures[path] = picture
    return pictures


def image_quality(
    *,
    dataset_url: str,
    contract: Contract,
    splits: Mapping[str, int],
    shown: Shown,
    pictures: Mapping[str, bytes],
    more_sections: Sequence[Section] = (),
    more_numbers: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, bytes]:
    """Return the quality page and its numbers by path.

    Args:
        dataset_url: where the dataset is published.
        contract: the dataset's.
        splits: rows by split.
        shown: the files that the page shows.
        pictures: by path, of those of which one can be had.
        more_sections, more_numbers: as for `quality_page`.
    """
    rows = {path: {**row, "thumbnail": pictures.get(path)} for path, row in shown.rows.items()}
    warned = [
        (path, f"{heading.removeprefix('warned ')}: ")
        for heading, paths in shown.chosen.items()
        if heading.startswith("warned ")
        for path in paths
    ]
    alike = list(_first_of(shown.near_groups))
    galleries = [
        Gallery(some, caption)
        for some, caption in (
            (_pictures(rows, warned), "Noticed and let pass: examples"),
            (_pictures(rows, alike), f"Near duplicates: the largest of {len(shown.near_groups)} groups"),
        )
        if some
    ]
    html, numbers = quality_page(
        dataset_url=dataset_url,
        cleaning=contract.cleaning,
        splits=splits,
        label=contract.label,
        vocabularies=contract.vocabularies,
        statistics=contract.statistics,
        joins=(),
        refused_samples=_quarantined(
            [rows[path] for heading, paths in shown.chosen.items() if heading.startswith("refused ") for path in paths]
        ),
        kept_samples=_pictures(rows, [(path, "") for path in shown.chosen.get("kept", [])]),
        galleries=galleries,
        near_groups=shown.near_groups,
        provenance=contract.provenance,
        more_sections=more_sections,
        more_numbers=more_numbers,
    )
    return {QUALITY: html, QUALITY_NUMBERS: numbers}


_SAID = ("path", "label", "reason", "detail")
_CONTENT = ["thumbnail", "content", "height", "width", "channels"]


def _first_of(near_groups: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    for index, group in enumerate(near_groups[:_GROUPS_SHOWN]):
        for path in group[:_MEMBERS_SHOWN]:
            yield path, f"group {index + 1}: "


def _chosen(facts: DataFrame) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Return paths of some rows by what became of them: `kept`, `refused REASON`, `warned NAME`; and by path what is said."""
    refused = F.col("reason").isNotNull()
    headings = F.when(refused, F.array(F.concat(F.lit("refused "), "reason"))).otherwise(
        F.concat(F.array(F.lit("kept")), F.transform("warnings", lambda name: F.concat(F.lit("warned "), name)))
    )
    named = facts.select(*_SAID, "sha256", F.explode(headings).alias("what"))
    place = F.row_number().over(Window.partitionBy("what").orderBy("sha256", "path"))
    # The first condition is one that Spark can apply before it sorts.
    first = named.withColumn("place", place).where(F.col("place") <= _SAMPLES)
    rows = first.where((F.col("what") == "kept") | (F.col("place") <= _SAMPLES_A_NAME)).orderBy("what", "place").collect()
    paths: dict[str, list[str]] = {}
    for row in rows:
        paths.setdefault(row["what"], []).append(row["path"])
    return paths, {row["path"]: {name: row[name] for name in _SAID} for row in rows}


def _quarantined(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    columns = {"source": "path", "reason": "reason", "detail": "detail", "thumbnail": "thumbnail"}
    return pa.Table.from_pylist(
        [{name: row[source_column] for name, source_column in columns.items()} for row in rows], QUARANTINE_SCHEMA
    )


def _pictures(rows: Mapping[str, Mapping[str, Any]], captions: Sequence[tuple[str, str]]) -> list[Picture]:
    captioned = [(rows[path]["thumbnail"], f"{text}{_named(rows[path]['label'], path)}") for path, text in captions]
    return [Picture(png=bytes(png), caption=caption) for png, caption in captioned if png is not None]


def _named(label: str | None, path: str) -> str:
    return path if label is None else f"{label} · {path}"
