"""What an image job is asked to do: its options, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bigdata_ml.prepare.images.checks import ImageChecks
from bigdata_ml.prepare.images.decode import PictureRules
from bigdata_ml.prepare.images.duplicates.exact import ConflictPolicy
from bigdata_ml.prepare.images.duplicates.near_groups import NearPolicy
from bigdata_ml.prepare.images.duplicates.near_pairs import MOST_DISTANCE
from bigdata_ml.prepare.images.encode import PictureStorage
from bigdata_ml.prepare.images.inspect import Inspection
from bigdata_ml.prepare.images.report import asked_for
from bigdata_ml.prepare.publish.gate import Limit
from bigdata_ml.prepare.sources.any_source import ImageFormat
from bigdata_ml.prepare.sources.image_files.files import LabelFile
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.split.by_hash import SplitRule
from bigdata_ml.prepare.split.from_paths import NO_SPLIT, SplitFrom
from bigdata_ml.shown import refuse_credentials

__all__ = ["ImageJob"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageJob:
    """Turn a folder of images into a dataset: refuse what is broken or there twice, split, publish.

    Attributes:
        source: URL of the folder, a glob, or what source_format says; the folder a file lies in is its class, at any depth.
        dataset: URL of the dataset to publish; nothing may be there yet, but for `replace`.
        incremental: read new and changed files alone, and take what is known of the others from the version that is there; the
            content is that of a full run. Needs `replace`, and files that are no members of others.
        source_format: what the source is: `files` in folders or named by a glob, `archives` (tar, zip), `sequence-files` of
            Hadoop, `idx` (MNIST) or `cifar` files; `auto` tells files from an archive.
        replace: publish a new version of a dataset that is there; readers see the old one or the new one.
        max_refused: how many files may be refused, `[REASON=]NUMBER[%]`, the reason being one of the verdict's; of one that is
            only warned of, how many may be noticed. More end the job before anything is published.
        label_from: `folder`, the URL of a CSV or JSON file with the columns path,label, or `none` for a dataset without labels.
        label_separator: between values in a CSV file of labels; by default a comma, in `.tsv` a tab.
        label_quote: around values in a CSV file of labels.
        label_encoding: of a file of labels; by default UTF-8, or UTF-16 where a byte order mark says so.
        max_classes: how many classes there may be, 1 or more; more end the job before anything is published.
        rules: how files become pixels.
        checks: what is noticed about images, and refused.
        label_conflict: what becomes of one picture under different labels: `refuse` all, keep the `first` by path, or `warn`.
        near_duplicates: what becomes of images that look alike: `group` keeps them in one split, `refuse` keeps the one with
            the most pixels, `ignore` does not look for them.
        near_distance: bits of 64 in which the perceptual hashes of near duplicates differ at most, 0 … 12.
        encoding: `raw` keeps pixels (all images must have one size), `source` the files' own bytes where they decode to the
            right pixels, `jpeg` and `png` encode every image again; `auto` takes raw where all images have one size of at most
            16 KiB, else source.
        jpeg_quality: of the JPEGs that are written, 1 … 100.
        shorter_side: images whose shorter side has more pixels are reduced to it.
        size: HEIGHTxWIDTH in pixels that every image gets.
        fit: how they get `size`: `crop` keeps the aspect and cuts off what stands out, `stretch` gives it up.
        split: shares of the splits; name train first.
        split_key: what is never separated: `content`, the `folder` a file lies in, or `path:REGEX`, whose first group is the
            key (files that do not match are groups of their own).
        stratify: divide each class by the shares to the row, not on average.
        split_from: take the split from an image's path instead: `folder` by directories called train, val, test and the like, or
            `path:REGEX`, whose first group is such a name.
        stratify_like: URL of an earlier dataset published with stratify: no row of its classes moves.
        seed: of the split and of the order in the files.
        row_group_bytes: bytes of images a row group aims at.
    """

    source: str
    dataset: str
    source_format: ImageFormat = "auto"
    replace: bool = False
    incremental: bool = False
    max_refused: tuple[str, ...] = ()
    label_from: str = "folder"
    label_separator: str = ""
    label_quote: str = '"'
    label_encoding: str = ""
    max_classes: int = 100_000
    rules: PictureRules = field(default_factory=PictureRules)
    checks: ImageChecks = field(default_factory=ImageChecks)
    label_conflict: ConflictPolicy = "refuse"
    near_duplicates: NearPolicy = "group"
    near_distance: int = 6
    encoding: Literal["auto", "raw", "source", "jpeg", "png"] = "auto"
    jpeg_quality: int = 95
    shorter_side: int | None = None
    size: str | None = None
    fit: Literal["crop", "stretch"] = "crop"
    split: str = "train=0.8,validation=0.1,test=0.1"
    split_key: str = "content"
    split_from: str = ""
    stratify: bool = False
    stratify_like: str | None = None
    seed: int = 0
    row_group_bytes: int = 8 << 20

    def __post_init__(self) -> None:
        for url in (self.source, self.dataset, self.label_from):
            # Arguments stand in the manifest.
            refuse_credentials(url)
        if self.incremental and not self.replace:
            raise ValueError("incremental makes a new version of a dataset that is there, so replace must be given, too")
        if not 0 <= self.near_distance <= MOST_DISTANCE:
            raise ValueError(f"near_distance must lie in [0, {MOST_DISTANCE}] bits, got {self.near_distance}")
        if self.split_key not in ("content", "folder") and not _is_pattern(self.split_key):
            raise ValueError(
                f"split_key is content, folder, or path:REGEX with a group in parentheses that is the key, got {self.split_key!r}"
            )
        if not self.has_labels and (self.stratify or self.stratify_like is not None):
            name = "stratify" if self.stratify else "stratify_like"
            raise ValueError(f"{name} divides each class, and with label_from none there are no classes; leave one of them out")
        if self.split_from:
            SplitFrom(self.split_from)
            if self.stratify or self.stratify_like is not None:
                raise ValueError("stratify makes a new split, and split_from takes the one that is there; leave one of them out")
        if self.label_from in ("folder", "none") and self._label_form != TextFormat():
            raise ValueError(
                "label_separator, label_quote and label_encoding say how a file of labels is written, and "
                f"label_from is {self.label_from!r}; name the file by label_from, or leave them out"
            )
        if self.max_classes < 1:
            raise ValueError(f"max_classes must be 1 or more, got {self.max_classes}")
        # Says by itself what is wrong with the others.
        _ = self.inspection, self.rule, self.limits, self._label_form

    @property
    def has_labels(self) -> bool:
        """Whether the dataset gets a label."""
        return self.label_from != "none"

    @property
    def labels(self) -> str | LabelFile:
        """Where labels come from: `folder`, `none` or a file."""
        return self.label_from if self.label_from in ("folder", "none") else LabelFile(self.label_from, self._label_form)

    @property
    def _label_form(self) -> TextFormat:
        return TextFormat(separator=self.label_separator, quote=self.label_quote, encoding=self.label_encoding)

    @property
    def inspection(self) -> Inspection:
        """What is asked of each image, and how it is kept."""
        storage = PictureStorage(
            encoding=self.encoding, jpeg_quality=self.jpeg_quality, shorter_side=self.shorter_side, size=self.size, fit=self.fit
        )
        return Inspection(rules=self.rules, checks=self.checks, storage=storage)

    @property
    def limits(self) -> list[Limit]:
        """How many files may be refused."""
        return [Limit.parse(text) for text in self.max_refused]

    @property
    def asked(self) -> Mapping[str, str]:
        """What files are held against, in words."""
        asked = asked_for(self.checks, labels=self.has_labels, looks=self.near_duplicates != "ignore")
        return {**asked, "no_split": NO_SPLIT} if self.split_from else asked

    @property
    def rule(self) -> SplitRule:
        """How rows are divided."""
        rule = SplitRule.parse(self.split, key=["sha256" if self.split_key == "content" else "group"], seed=self.seed)
        return replace(rule, given=self.split_from)


def _is_pattern(text: str) -> bool:
    try:
        return text.startswith("path:") and re.compile(text.removeprefix("path:")).groups > 0
    except re.error:
        return False
