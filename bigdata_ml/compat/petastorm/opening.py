"""Petastorm's dataset URLs to a dataset, and what the dataset says of its schema and its row-group indexes."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow as pa

from bigdata_ml.compat.petastorm.unischema import Unischema, unischema_of_arrow
from bigdata_ml.dataset import Dataset
from bigdata_ml.storage import SCHEMES, Location, locate, locate_by_fsspec, place_in

__all__ = ["open_dataset", "row_group_indexes", "stored_schema"]

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


def open_dataset(
    url_or_urls: str | list[str], *, filesystem: Any = None, storage_options: Mapping[str, Any] | None = None
) -> Dataset:
    """Open the dataset that Petastorm's `dataset_url` names.

    Args:
        url_or_urls: of a directory, or a list of those of files.
        filesystem: of pyarrow's or fsspec's; with it an URL's scheme and host say nothing.
        storage_options: of the filesystem that fsspec makes.

    Raises:
        ValueError: an empty list, or an URL without a scheme.
        DatasetNotFound, DatasetInvalid, StorageUnavailable: see `Dataset.open`.
    """
    if isinstance(url_or_urls, str):
        return Dataset.open(_place(url_or_urls, filesystem, storage_options))
    if not url_or_urls:
        raise ValueError("the list of dataset URLs is empty")
    places = [_place(url, filesystem, storage_options) for url in url_or_urls]
    if len(places) == 1 and places[0].is_directory():
        return Dataset.open(places[0])
    return Dataset.open_files(places)


def stored_schema(dataset: Dataset, *, rows: bool) -> Unischema:
    """Return a dataset's schema: Petastorm's own, or the one that it infers.

    Args:
        dataset: what is read.
        rows: whether a schema that is inferred is worth a warning: `make_reader` is for datasets that have one.
    """
    return _inferred_schema(dataset)


def row_group_indexes(dataset: Dataset) -> Mapping[str, Any]:
    """Return the row-group indexes that were built for a dataset, by name."""
    return {}


def _inferred_schema(dataset: Dataset) -> Unischema:
    """Hive keys come first."""
    names = list(next(iter((dataset.partitions or {}).values()), {}))
    kinds = {name: np.int64 if pa.types.is_integer(dataset.schema[name].type) else np.str_ for name in names}
    stored = [name for name in dataset.schema.names if name not in kinds]
    return unischema_of_arrow(dataset.schema.select(stored).to_arrow(), keys=kinds)


def _place(url: str, filesystem: Any, options: Mapping[str, Any] | None) -> Location:
    if not isinstance(url, str):
        raise ValueError(f"a dataset URL must be text, got {type(url).__name__}")
    if not _SCHEME.match(url):
        raise ValueError(f"the dataset URL {url!r} has no scheme; write file://{url} for a local path")
    if filesystem is not None:
        parsed = urlparse(url)
        inside = parsed.path if parsed.scheme in ("file", "hdfs") else parsed.netloc + parsed.path
        return place_in(filesystem, url, unquote(inside) if parsed.scheme == "file" else inside)
    if options or urlparse(url).scheme.lower() not in SCHEMES:
        return locate_by_fsspec(url, options)
    return locate(url)
