"""The dataset that a group of runs was trained on, or why it cannot be shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from bigdata_ml.dataset import Cleaning, Dataset
from bigdata_ml.errors import BigDataMLError
from bigdata_ml.report.groups import Group
from bigdata_ml.report.records import DatasetRecord

__all__ = ["Origin", "find_origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """A dataset, or None, and what is to be said of it.

    Attributes:
        record: the dataset as the group's first run recorded it.
        dataset: that dataset, opened; None if it is gone or another one lies there now.
        problems: sentences for the reader of the report; empty if all is well.
    """

    record: DatasetRecord
    dataset: Dataset | None
    problems: tuple[str, ...]

    @property
    def cleaning(self) -> Cleaning | None:
        """The verdict of its cleaning, if the dataset has one."""
        return self.dataset.manifest.cleaning if self.dataset and self.dataset.manifest else None


def find_origin(group: Group, *, roots: Sequence[str]) -> Origin:
    """Open the dataset of a group's first run.

    Args:
        group: the runs.
        roots: directories in which a dataset of that name is looked for when it is not where the run found it.
    """
    record = group.runs[0].record.dataset
    name = record.url.rstrip("/").rsplit("/", 1)[-1]
    problems = []
    if len({run.record.dataset.layout for run in group.runs}) > 1:
        problems.append("The runs of this group were trained on different datasets; that of the first run is shown.")
    missed = []
    for url in (record.url, *(f"{root.rstrip('/')}/{name}" for root in roots)):
        try:
            dataset = Dataset.open(url)
        except (BigDataMLError, ValueError, OSError) as error:
            missed.append(f"The dataset cannot be shown. {error}")
            continue
        if not _is_same(dataset, record):
            missed.append(f"The dataset cannot be shown. {url}: another dataset lies there now than the runs were trained on.")
            continue
        return Origin(record, dataset, (*problems, *_lacking(dataset)))
    return Origin(record, None, (*problems, *missed))


def _is_same(dataset: Dataset, record: DatasetRecord) -> bool:
    # A run may have recorded the fingerprint of a split, LAYOUT/NAME; the same content in other files is the same dataset.
    content = dataset.manifest.content if dataset.manifest else None
    return record.layout.partition("/")[0] == dataset.fingerprint or (content is not None and content == record.content)


def _lacking(dataset: Dataset) -> list[str]:
    if dataset.manifest is None:
        return [f"{dataset.url} has no manifest: it is plain Parquet, so nothing is known of how it was cleaned."]
    if dataset.manifest.cleaning is None:
        return [f"{dataset.url} was adopted as it was: nothing is known of how it was cleaned."]
    return []
