"""Deletes what no reader of a dataset's manifest needs any more."""

from os import PathLike

from bigdata_ml.dataset.layout import MANIFEST
from bigdata_ml.dataset.publishing.claims import live_publications
from bigdata_ml.dataset.publishing.generations import newest, sweep
from bigdata_ml.errors import DatasetNotFound
from bigdata_ml.storage import locate

__all__ = ["collect_garbage"]


def collect_garbage(url: str | PathLike[str]) -> list[str]:
    """Delete the files of older versions of a dataset, and of jobs that died over it; return their paths.

    Readers that opened an older version fail from then on. Files of jobs that are under way are left alone.

    Raises:
        DatasetNotFound: no dataset with a manifest is there.
        StorageUnavailable: the store does not answer, or cannot be written to.
    """
    root = locate(url)
    if not (root / MANIFEST).exists():
        raise DatasetNotFound(f"{root.url}: no dataset with a manifest is there")
    within = root.confined()
    return sweep(within, oldest=newest(within), find_live=lambda: live_publications(root))
