"""Deletes files that no reader of a dataset's manifest needs."""

from os import PathLike

from bigdata_ml.dataset.layout import MANIFEST
from bigdata_ml.dataset.publishing.claims import live_publications
from bigdata_ml.dataset.publishing.generations import newest, sweep
from bigdata_ml.errors import DatasetNotFound
from bigdata_ml.storage import locate

__all__ = ["collect_garbage"]


def collect_garbage(url: str | PathLike[str]) -> list[str]:
    """Delete the files of older versions of a dataset, and of dead jobs; return their paths.

    Readers of an older version then fail. Files of running jobs are kept.

    Raises:
        DatasetNotFound: there is no dataset with a manifest.
        StorageUnavailable: the store does not answer, or cannot be written to.
    """
    root = locate(url)
    if not (root / MANIFEST).exists():
        raise DatasetNotFound(f"{root.url}: no dataset with a manifest is there")
    within = root.confined()
    return sweep(within, oldest=newest(within), find_live=lambda: live_publications(root))
