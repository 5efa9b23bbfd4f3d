"""Opens a dataset: two small reads where there is a manifest, the files' footers where there is none."""

import logging
import posixpath
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import xxhash

from bigdata_ml.dataset.checks.row_group_table import contract_problems
from bigdata_ml.dataset.field_summary import Vocabulary
from bigdata_ml.dataset.layout import MANIFEST, MANIFESTS
from bigdata_ml.dataset.manifest import Manifest
from bigdata_ml.dataset.opening.columns import Columns, common_columns, without_unsupported
from bigdata_ml.dataset.opening.directory_files import parquet_files
from bigdata_ml.dataset.opening.hive_keys import hive_keys, partitions_of
from bigdata_ml.dataset.opening.pandas_index import is_pandas_index
from bigdata_ml.dataset.opening.split_names import splits_of
from bigdata_ml.dataset.optional import key_types, read_unischema, with_unischema
from bigdata_ml.dataset.parquet.footers import Footer, read_footers
from bigdata_ml.dataset.parquet.group_bytes import GROUP_BYTES
from bigdata_ml.dataset.quarantine import read_quarantine
from bigdata_ml.dataset.row_groups import RowGroups, key_columns
from bigdata_ml.errors import DatasetNotFound, MetadataUnreadable, SchemaMismatch
from bigdata_ml.schema import Field, Schema
from bigdata_ml.shown import shown
from bigdata_ml.storage import Location, lakehouse_above, locate

if TYPE_CHECKING:
    from bigdata_ml.dataset.petastorm.schema import PetastormSchema

__all__ = ["Dataset", "open_plain", "open_published"]

_log = logging.getLogger(__name__)
# Looks at a dataset that is being replaced while it is opened.
_LOOKS, _SECONDS_BETWEEN_LOOKS = 20, 0.05


@dataclass(frozen=True)
class Dataset:
    """A dataset, or one split of it.

    Attributes:
        location: its directory.
        schema: its fields, in the files' order; keys of Hive directories, `split` apart, come last.
        row_groups: its row groups, in the dataset's order.
        manifest: its contract, or None for plain Parquet.
        name: of the split, or None for the whole.
        partitions: values of the Hive directory keys by file, if there are keys besides the split's.
        unischema: name of Petastorm's schema that the fields were taken from, if they were.
        group_bytes: what the rows of a row group may take in memory, see `open`.
        lacking: without a manifest: columns that some file lacks; they are null there.
        passed_over: without a manifest: files of the directory that are not read, by why: `hidden`, `not_parquet`,
            `linked_again`.
        selections: what readers found out about predicates, shared by the dataset and its splits.
    """

    location: Location
    schema: Schema
    row_groups: RowGroups
    manifest: Manifest | None
    name: str | None = None
    partitions: Mapping[str, Mapping[str, Any]] | None = None
    unischema: str | None = None
    group_bytes: int = GROUP_BYTES
    lacking: frozenset[str] = frozenset()
    passed_over: Mapping[str, int] = field(default_factory=dict, compare=False)
    selections: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(
        cls,
        url: str | PathLike[str] | Location,
        *,
        use_unischema: bool = True,
        leave_out_nested: bool = False,
        missing_as_null: bool = False,
        group_bytes: int = GROUP_BYTES,
    ) -> "Dataset":
        """Open the dataset at `url`: any directory of Parquet files, Petastorm's with the fields of its unischema, or one file.

        Files of a directory are in natural order, `part.2` before `part.10`. What is not read of it is counted in `passed_over`.

        Args:
            url: see `bigdata_ml.storage.locate`; or a place that it, or `locate_by_fsspec`, gave.
            use_unischema: whether the schema that Petastorm wrote says what lies in the columns, where there is one and no
                manifest; without it, encoded columns are bytes. It is read without unpickling.
            leave_out_nested: whether, where there is no manifest, columns that no field can be (structs, maps, lists of these)
                are left out with a warning, instead of refused.
            missing_as_null: whether, where there is no manifest, columns that some of the files lack are null there, instead of
                refused.
            group_bytes: what the rows of a row group may take in memory, as Arrow arrays; larger ones are refused when read.

        Raises:
            DatasetNotFound: nothing is there, or no Parquet files.
            DatasetInvalid: a file that is no Parquet file, a manifest or a unischema that cannot be read.
            SchemaMismatch: columns of types that no field holds, or that files hold in types without a common one.
            StorageUnavailable: the store does not answer.
            ValueError: an URL of an unknown scheme.

        >>> from bigdata_ml.dataset import Dataset
        >>> Dataset.open("examples/tiny").split("train").rows        # doctest: +SKIP
        1250
        """
        root = url if isinstance(url, Location) else locate(url)
        if not root.exists():
            raise DatasetNotFound(f"{root.url}: nothing is there; check the path, or run a preparation job to make it")
        if not root.is_file() and not root.is_directory():
            raise DatasetNotFound(
                f"{root.url}: a dataset is a directory of Parquet files, or one such file; this is a special file"
            )
        if root.is_file():
            opened = _open_file(root, use_unischema=use_unischema, leave_out_nested=leave_out_nested)
        elif (root / MANIFEST).exists():
            opened = open_published(root)
        else:
            opened = open_plain(
                root, use_unischema=use_unischema, leave_out_nested=leave_out_nested, missing_as_null=missing_as_null
            )
        return replace(opened, group_bytes=group_bytes)

    @classmethod
    def open_files(cls, files: Sequence[Location], *, leave_out_nested: bool = False, missing_as_null: bool = False) -> "Dataset":
        """Open some Parquet files of one filesystem, in the order given, as a dataset without a manifest.

        `key=value` directories between their common directory and a file are Hive keys; `leave_out_nested` and
        `missing_as_null` as in `open`.

        Raises:
            ValueError: no file.
            DatasetInvalid, SchemaMismatch: as `open`.
        """
        if not files:
            raise ValueError("a dataset of files needs at least one")
        shared = posixpath.commonpath([file.parent.path for file in files])
        url = files[0].url.removesuffix(posixpath.relpath(files[0].path, shared)).rstrip("/")
        paths = [posixpath.relpath(file.path, shared) for file in files]
        return _open_plain(Location(url, files[0].filesystem, shared), paths, None, leave_out_nested, missing_as_null)

    @property
    def url(self) -> str:
        """Where it is."""
        return self.location.url

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.row_groups.rows.sum())

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits; empty if it has none, or is one."""
        return () if self.name is not None else tuple(self.row_groups.splits)

    @property
    def label(self) -> str | None:
        """Name of the field to predict, if the manifest names one."""
        return self.manifest.label if self.manifest else None

    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]:
        """Vocabularies by field."""
        return self.manifest.vocabularies if self.manifest else {}

    @cached_property
    def fingerprint(self) -> str:
        """The layout fingerprint: of exactly these files, this split included."""
        layout = self.manifest.layout if self.manifest else self.row_groups.layout_fingerprint()
        return layout if self.name is None else f"{layout}/{self.name}"

    def split(self, name: str) -> "Dataset":
        """Return the rows of one split as a dataset.

        Raises:
            ValueError: no such split; the text names those there are.
        """
        if name not in self.splits:
            there = f"the splits are {', '.join(self.splits)}" if self.splits else "it has none: pass the dataset itself"
            raise ValueError(f"{self.url} has no split {name!r}; {there}")
        return replace(self, row_groups=self.row_groups.of_split(name), name=name)

    def quarantine(self) -> pa.Table:
        """Return the refused rows: source, reason, detail, row, thumbnail; empty for plain Parquet."""
        return read_quarantine(self.location, self.manifest.quarantine if self.manifest else ())


def open_published(root: Location, *, strict: bool = True) -> Dataset:
    """Open a dataset by its manifest; not `strict`: even where manifest and row-group table contradict each other."""
    # What a manifest names lies in the dataset; a link or `..` that leads elsewhere is not followed.
    root = root.confined()
    for left in reversed(range(_LOOKS)):
        manifest = Manifest.from_bytes(_metadata_of(root / MANIFEST), url=(root / MANIFEST).url)
        place = root / manifest.row_groups.path
        try:
            data = _metadata_of(place)
            break
        except MetadataUnreadable:
            # Between the two reads the version may have been replaced, twice; the next look finds the new one.
            if not left or not (root / MANIFESTS).exists():
                raise
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    digest = xxhash.xxh3_128_hexdigest(data)
    if digest != manifest.row_groups.checksum:
        raise MetadataUnreadable(
            f"{place.url}: the manifest belongs to another row-group table (checksum {manifest.row_groups.checksum}, "
            f"found {digest}); publish the dataset again"
        )
    row_groups = RowGroups.from_bytes(data, url=place.url)
    if strict:
        problem = next(contract_problems(row_groups.table, manifest), None)
        if problem is not None:
            raise MetadataUnreadable(
                f"{place.url}: {problem[1]}; the metadata contradict themselves: bigdata-ml validate lists how, publish it again"
            )
    partitions = partitions_of(row_groups.files, manifest.schema.select(manifest.partitions).to_arrow(), url=place.url)
    return Dataset(root, manifest.schema, row_groups, manifest, partitions=partitions or None)


def _metadata_of(place: Location) -> bytes:
    try:
        return place.read_bytes()
    except OSError as error:
        raise MetadataUnreadable(f"{place.url}: the metadata cannot be read: {error}") from error


def open_plain(root: Location, *, use_unischema: bool, leave_out_nested: bool = False, missing_as_null: bool = False) -> Dataset:
    """Open the Parquet files of a directory by their footers, whether there is a manifest or not; raises as `Dataset.open`."""
    unischema = read_unischema(root) if use_unischema else None
    files = parquet_files(root)
    return replace(_open_plain(root, files.paths, unischema, leave_out_nested, missing_as_null), passed_over=files.passed_over)


def _open_file(file: Location, *, use_unischema: bool, leave_out_nested: bool) -> Dataset:
    root = file.parent
    table = lakehouse_above(file) or lakehouse_above(root)
    if table is not None:
        warnings.warn(shown(f"{file.url} is one file of {table}"), stacklevel=3)
    unischema = read_unischema(root) if use_unischema else None
    return _open_plain(root, [file.name], unischema, leave_out_nested, missing_as_null=False)


def _open_plain(
    root: Location, paths: list[str], unischema: "PetastormSchema | None", leave_out_nested: bool, missing_as_null: bool
) -> Dataset:
    footers = read_footers(root, paths)
    if not leave_out_nested:
        footers = _without_index(root, footers)
    columns = common_columns(root, footers, missing_as_null=missing_as_null)
    if leave_out_nested:
        columns = replace(columns, schema=without_unsupported(root, columns.schema))
    fields = _fields_of(root, footers, columns, unischema)
    splits = splits_of(root, paths)
    records = [{**record, "split": splits[record["path"]]} for footer in footers for record in footer.records]
    held = {field_of_files.name for field_of_files in fields}
    key_fields, partitions = hive_keys(paths, held=held, types=key_types(unischema))
    row_groups = RowGroups.from_records(records, keys=_readable_keys(Schema(fields), records))
    return Dataset(
        root,
        Schema(fields + key_fields),
        row_groups,
        None,
        partitions=partitions or None,
        unischema=unischema.name if unischema is not None else None,
        lacking=columns.missing,
    )


def _readable_keys(schema: Schema, records: list[dict[str, Any]]) -> pa.Schema:
    """Return the key columns whose extremes are values of their type: footers written by others hold all sorts."""
    keys = []
    for key in key_columns(schema):
        try:
            for side in ("min", "max"):
                pa.array([record[side].get(key.name) for record in records], key.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            continue
        keys.append(key)
    return pa.schema(keys)


def _without_index(root: Location, footers: list[Footer]) -> list[Footer]:
    index = sorted({name for footer in footers for name in footer.schema.names if is_pandas_index(name)})
    if not index:
        return footers
    _log.warning("%s: pandas' index is left out: %s", root.url, ", ".join(index))
    kept = (pa.schema([column for column in footer.schema if column.name not in index]) for footer in footers)
    return [replace(footer, schema=schema) for footer, schema in zip(footers, kept, strict=True)]


def _fields_of(root: Location, footers: list[Footer], columns: Columns, unischema: "PetastormSchema | None") -> tuple[Field, ...]:
    with_nulls = columns.missing.union(*(footer.with_nulls for footer in footers))
    if unischema is not None:
        # Where a footer does not say whether there are nulls, Petastorm does.
        never = {field.name for field in unischema if not field.nullable}
        with_nulls -= never - columns.missing.union(*(footer.counted_nulls for footer in footers))
    try:
        bare = Schema.from_arrow(columns.schema, with_nulls=with_nulls)
        return bare.fields if unischema is None else with_unischema(bare, unischema, with_nulls=with_nulls)
    except ValueError as error:
        raise SchemaMismatch(
            f"{(root / footers[0].path).url}: {error}; write the files without it, or open them with leave_out_nested=True"
        ) from error
