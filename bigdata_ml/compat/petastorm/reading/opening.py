"""Opens the dataset of a Petastorm URL, and reads its schema and row-group indexes."""

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
    """Open the dataset at Petastorm's `dataset_url`.

    Args:
        url_or_urls: URL of a directory, or a list of URLs of files.
        filesystem: of pyarrow or fsspec; if given, the scheme and host of the URL are ignored.
        storage_options: for fsspec's filesystem.

    Raises:
        ValueError: an empty list, or a URL without a scheme.
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
    """Open a dataset with its split as a field, like every Hive key in Petastorm; unsupported columns are dropped."""
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
    """A row-group index, as selectors read it."""

    index: PetastormIndex

    @property
    def indexed_values(self) -> list[Any]:
        """The indexed values."""
        return list(self.index.values)

    def get_row_group_indexes(self, value_key: Any = None) -> set[int]:
        """Return the row groups that contain a value; for a not-null index, those that contain any value."""
        if self.index.kind == "field_not_null":
            return set(self.index.row_groups)
        return set(self.index.values.get(value_key, ()))


def stored_schema(dataset: Dataset, *, rows: bool) -> Unischema:
    """Return a dataset's schema: Petastorm's own, or else one made from the manifest or the Parquet files.

    Args:
        dataset: what is read.
        rows: whether to read single rows. If so, a dataset without codecs raises a warning, because its bytes stay bytes.

    Raises:
        MetadataUnreadable: Petastorm's schema names a class that is not its own.
    """
    unischema = read_petastorm_schema(dataset.location)
    if unischema is not None:
        # Petastorm's schema declares raw pixels as bytes; they are read as arrays.
        pixels = unischema_of_arrow(Schema(tuple(field for field in dataset.schema if field.codec is Codec.RAW_IMAGE)).to_arrow())
        return Unischema(unischema.name, [pixels.fields.get(field.name) or _field(field) for field in unischema])
    if dataset.manifest is not None:
        return _manifest_schema(dataset)
    if rows:
        text = f"{dataset.url} has no Petastorm schema, so its columns are not decoded. Use make_batch_reader for plain Parquet"
        warnings.warn(shown(text), stacklevel=5)
    return _inferred_schema(dataset)


def row_group_indexes(dataset: Dataset) -> Mapping[str, Index]:
    """Return a dataset's row-group indexes by name.

    Raises:
        MetadataUnreadable: an index contains anything but plain values.
    """
    return {name: Index(index) for name, index in read_petastorm_indexes(dataset.location).items()}


def _field(field: PetastormField) -> UnischemaField:
    dtype = Decimal if field.kind == "decimal" else np.dtype(field.kind).type
    return UnischemaField(field.name, dtype, field.shape, None if field.codec is None else _codec(field.codec), field.nullable)


def _codec(codec: PetastormCodec) -> DataframeColumnCodec:
    if codec.kind == "scalar":
        return ScalarCodec(codec.spark_type)
    if codec.kind == "compressed_image":
        return CompressedImageCodec(codec.image_format or "png", 80 if codec.quality is None else codec.quality)
    return NdarrayCodec() if codec.kind == "ndarray" else CompressedNdarrayCodec()


def _manifest_schema(dataset: Dataset) -> Unischema:
    """Return the schema of our own manifest: the fields written for Petastorm, and fields of further types."""
    written = {field.name: _field(field) for field in fields_to_petastorm(dataset.schema, with_split=False)[0]}
    more = Schema(tuple(field for field in dataset.schema if field.name not in written or field.codec is Codec.RAW_IMAGE))
    fields = {**written, **unischema_of_arrow(more.to_arrow()).fields}
    return Unischema(dataset.location.name, [fields[name] for name in dataset.schema.names if name in fields])


def _inferred_schema(dataset: Dataset) -> Unischema:
    """Return the schema that Petastorm infers for plain Parquet: Hive keys first."""
    names = list(next(iter((dataset.partitions or {}).values()), {}))
    kinds = {name: np.int64 if pa.types.is_integer(dataset.schema[name].type) else np.str_ for name in names}
    stored = [name for name in dataset.schema.names if name not in kinds]
    return unischema_of_arrow(dataset.schema.select(stored).to_arrow(), keys=kinds)


def reader_url(url: str) -> str:
    """Return a Spark URL with the scheme our readers use: s3 in place of s3a and s3n."""
    scheme, separator, rest = url.partition("://")
    return f"s3://{rest}" if separator and scheme.lower() in ("s3a", "s3n") else url


def dataset_place(url: str, filesystem: Any, options: Mapping[str, Any] | None) -> Location:
    """Return the location of Petastorm's `dataset_url`; arguments and errors are those of `open_dataset`."""
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
