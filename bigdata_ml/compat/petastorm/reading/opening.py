"""Petastorm's dataset URLs to a dataset, and what the dataset says of its schema and its row-group indexes."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow as pa

from bigdata_ml.compat.petastorm.codecs import (
    CompressedImageCodec,
    CompressedNdarrayCodec,
    DataframeColumnCodec,
    NdarrayCodec,
    ScalarCodec,
)
from bigdata_ml.compat.petastorm.unischema import Unischema, UnischemaField, unischema_of_arrow
from bigdata_ml.dataset import (
    Dataset,
    PetastormCodec,
    PetastormField,
    PetastormIndex,
    read_petastorm_indexes,
    read_petastorm_schema,
)
from bigdata_ml.dataset.layout import split_of
from bigdata_ml.dataset.petastorm.fields import fields_to_petastorm
from bigdata_ml.schema import Codec, Field, Schema
from bigdata_ml.shown import shown
from bigdata_ml.storage import SCHEMES, Location, locate, locate_by_fsspec, place_in

__all__ = ["Index", "dataset_place", "open_dataset", "reader_url", "row_group_indexes", "stored_schema"]

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
        return _open(dataset_place(url_or_urls, filesystem, storage_options))
    if not url_or_urls:
        raise ValueError("the list of dataset URLs is empty")
    places = [dataset_place(url, filesystem, storage_options) for url in url_or_urls]
    if len(places) == 1 and places[0].is_directory():
        return _open(places[0])
    return Dataset.open_files(places, leave_out_nested=True)


def _open(place: Location) -> Dataset:
    """Open a dataset; its split is a field, as every Hive key is to Petastorm's users, and what no field can be is left out."""
    dataset = Dataset.open(place, use_unischema=False, leave_out_nested=True)
    splits = {path: split_of(path) for path in dataset.row_groups.files}
    if "split" in dataset.schema or not splits or None in splits.values():
        return dataset
    known = dataset.partitions or {}
    keys = {path: {**known.get(path, {}), "split": split} for path, split in splits.items()}
    schema = Schema((*dataset.schema, Field(name="split", type=pa.string())))
    return replace(dataset, schema=schema, partitions=keys)


@dataclass(frozen=True, slots=True)
class Index:
    """A row-group index, as selectors ask it."""

    index: PetastormIndex

    @property
    def indexed_values(self) -> list[Any]:
        """The values that are indexed."""
        return list(self.index.values)

    def get_row_group_indexes(self, value_key: Any = None) -> set[int]:
        """Return the row groups that hold a value; for an index of known values, all that hold any."""
        if self.index.kind == "field_not_null":
            return set(self.index.row_groups)
        return set(self.index.values.get(value_key, ()))


def stored_schema(dataset: Dataset, *, rows: bool) -> Unischema:
    """Return a dataset's schema: Petastorm's own, or else what the manifest and the Parquet files say.

    Args:
        dataset: what is read.
        rows: whether single rows are: then a dataset that says nothing of codecs is warned of, since its bytes stay bytes.

    Raises:
        MetadataUnreadable: a schema of Petastorm's that names anything but its own classes.
    """
    found = read_petastorm_schema(dataset.location)
    if found is not None:
        # What Petastorm can only call bytes is read as what it is.
        pixels = unischema_of_arrow(Schema(tuple(one for one in dataset.schema if one.codec is Codec.RAW_IMAGE)).to_arrow())
        return Unischema(found.name, [pixels.fields.get(one.name) or _field(one) for one in found])
    if dataset.manifest is not None:
        return _manifest_schema(dataset)
    if rows:
        text = (
            f"{dataset.url} has no schema of Petastorm's: its columns are read as they are stored. "
            "make_batch_reader is for plain Parquet"
        )
        warnings.warn(shown(text), stacklevel=5)
    return _inferred_schema(dataset)


def row_group_indexes(dataset: Dataset) -> Mapping[str, Index]:
    """Return the row-group indexes that were built for a dataset, by name.

    Raises:
        MetadataUnreadable: indexes that hold anything but plain values.
    """
    return {name: Index(found) for name, found in read_petastorm_indexes(dataset.location).items()}


def _field(found: PetastormField) -> UnischemaField:
    dtype = Decimal if found.kind == "decimal" else np.dtype(found.kind).type
    return UnischemaField(found.name, dtype, found.shape, None if found.codec is None else _codec(found.codec), found.nullable)


def _codec(found: PetastormCodec) -> DataframeColumnCodec:
    if found.kind == "scalar":
        return ScalarCodec(found.spark_type)
    if found.kind == "compressed_image":
        return CompressedImageCodec(found.image_format or "png", 80 if found.quality is None else found.quality)
    return NdarrayCodec() if found.kind == "ndarray" else CompressedNdarrayCodec()


def _manifest_schema(dataset: Dataset) -> Unischema:
    """Return what our own manifest says: as it would be written for Petastorm, and of more types."""
    said = {one.name: _field(one) for one in fields_to_petastorm(dataset.schema, with_split=False)[0]}
    more = Schema(tuple(one for one in dataset.schema if one.name not in said or one.codec is Codec.RAW_IMAGE))
    fields = {**said, **unischema_of_arrow(more.to_arrow()).fields}
    return Unischema(dataset.location.name, [fields[name] for name in dataset.schema.names if name in fields])


def _inferred_schema(dataset: Dataset) -> Unischema:
    """Return the schema that Petastorm infers for plain Parquet; Hive keys come first."""
    names = list(next(iter((dataset.partitions or {}).values()), {}))
    kinds = {name: np.int64 if pa.types.is_integer(dataset.schema[name].type) else np.str_ for name in names}
    stored = [name for name in dataset.schema.names if name not in kinds]
    return unischema_of_arrow(dataset.schema.select(stored).to_arrow(), keys=kinds)


def reader_url(url: str) -> str:
    """Return a URL of Spark's as this package's readers name the place: S3 is s3 there, not one of Hadoop's clients of it."""
    scheme, separator, rest = url.partition("://")
    return f"s3://{rest}" if separator and scheme.lower() in ("s3a", "s3n") else url


def dataset_place(url: str, filesystem: Any, options: Mapping[str, Any] | None) -> Location:
    """Return where Petastorm's `dataset_url` is; arguments and errors are those of `open_dataset`."""
    if not isinstance(url, str):
        raise ValueError(f"a dataset URL must be text, got {type(url).__name__}")
    if not _SCHEME.match(url):
        raise ValueError(f"the dataset URL {url!r} has no scheme; write file://{url} for a local path")
    if filesystem is not None:
        parsed = urlparse(url)
        inside = parsed.path if parsed.scheme in ("file", "hdfs") else parsed.netloc + parsed.path
        return place_in(filesystem, url, unquote(inside) if parsed.scheme == "file" else inside)
    if options or urlparse(reader_url(url)).scheme.lower() not in SCHEMES:
        return locate_by_fsspec(url, options)
    return locate(reader_url(url))
