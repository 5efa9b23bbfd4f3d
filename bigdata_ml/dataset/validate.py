"""Verifies a dataset against its manifest, byte by byte."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import xxhash

from bigdata_ml.dataset.checks.row_group_table import contract_problems
from bigdata_ml.dataset.dataset import Dataset, open_published
from bigdata_ml.dataset.group_rows import check_text, holds_text
from bigdata_ml.dataset.layout import COMMON_METADATA, MANIFEST, METADATA
from bigdata_ml.dataset.manifest import SideFile
from bigdata_ml.dataset.opening.directory_files import is_named_parquet
from bigdata_ml.dataset.opening.pandas_index import is_pandas_index
from bigdata_ml.dataset.optional import count_row_groups
from bigdata_ml.dataset.parquet.file import parquet_file
from bigdata_ml.dataset.parquet.footers import byte_range, read_metadata
from bigdata_ml.dataset.parquet.group_bytes import GROUP_BYTES, read_rows, threads_within
from bigdata_ml.dataset.publishing.generations import left_behind
from bigdata_ml.dataset.quarantine import count_quarantine
from bigdata_ml.errors import DatasetInvalid, DecodeFailed, MetadataUnreadable, SchemaMismatch
from bigdata_ml.schema import Schema, from_stored, stored_schema
from bigdata_ml.schema.converting import is_held_as
from bigdata_ml.storage import Location, list_tree, locate

__all__ = ["Finding", "validate"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One error in a dataset.

    Attributes:
        code: missing_file, truncated_file, changed_bytes, row_count, schema_drift, bad_text, bad_value, unlisted_file,
            unreadable_file, too_large, unreadable_metadata or inconsistent_manifest.
        place: the file, and the row group where one is at fault.
        text: what was expected and what was found.
    """

    code: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class _Strictness:
    """Which properties of a dataset's files are verified."""

    checksums: bool
    nullability: bool
    group_bytes: int
    fields: Schema


def validate(
    url: str | PathLike[str],
    *,
    threads: int = 8,
    missing_as_null: bool = False,
    group_bytes: int = GROUP_BYTES,
    on_file: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Return everything that is wrong with a dataset; an empty list if nothing is.

    Reads every byte. Plain Parquet without a manifest promises little: its files must be whole, readable and of one schema.

    Args:
        url: where the dataset is.
        threads: files checked at the same time; fewer where their row groups take more than `group_bytes`.
        missing_as_null: see `Dataset.open`; a column that some files of plain Parquet lack is then no finding.
        group_bytes: see `Dataset.open`; a row group that takes more in memory is a finding, `too_large`, of plain Parquet.
        on_file: called after each file with (files done, files in all), to show progress.

    Raises:
        DatasetNotFound, StorageUnavailable, ValueError: as `Dataset.open`; a broken dataset is a finding, no error.
    """
    try:
        try:
            dataset = Dataset.open(url, missing_as_null=missing_as_null)
        except MetadataUnreadable:
            # Contradictions are reported, and the files are still checked.
            dataset = open_published(locate(url), strict=False)
        dataset = dataclasses.replace(dataset, group_bytes=group_bytes)
    except DatasetInvalid as error:
        place, _, text = str(error).partition(": ")
        return [Finding(_code_of(error), place, text)]
    return [*_contract_findings(dataset), *_file_findings(dataset, threads, on_file)]


def _code_of(error: DatasetInvalid) -> str:
    if isinstance(error, MetadataUnreadable):
        return "unreadable_metadata"
    return "schema_drift" if isinstance(error, SchemaMismatch) else "unreadable_file"


def _contract_findings(dataset: Dataset) -> Iterator[Finding]:
    """Contradictions between the metadata, and unpublished files."""
    manifest = dataset.manifest
    if manifest is None:
        if (dataset.location / METADATA).exists() and not (dataset.location / MANIFEST).exists():
            text = "the other metadata are there; without it the dataset is read as plain Parquet"
            yield Finding("missing_file", (dataset.location / MANIFEST).url, text)
        return
    if dataset.row_groups.layout_fingerprint() != manifest.layout:
        yield Finding("inconsistent_manifest", dataset.url, "the layout fingerprint is not that of the row-group table")
    yield from (Finding(code, dataset.url, text) for code, text in contract_problems(dataset.row_groups.table, manifest))
    broken = [finding for side in manifest.quarantine for finding in _side_findings(dataset.location, side)]
    yield from broken
    for side in manifest.ledger:
        yield from _side_findings(dataset.location, side)
    refused = sum(manifest.cleaning.refused.values()) if manifest.cleaning else 0
    lying = refused if broken else count_quarantine(dataset.location, [side.path for side in manifest.quarantine])
    if lying != refused:
        text = f"the manifest says {refused} rows were refused, {lying} are in quarantine"
        yield Finding("row_count", f"{dataset.url} quarantine", text)
    yield from _petastorm_findings(dataset)
    # Files of other versions are no error: readers of the manifest ignore them.
    listed = set(dataset.row_groups.files)
    listed |= left_behind(dataset.location, listed)
    for entry in list_tree(dataset.location).visible:
        if is_named_parquet(entry.path) and entry.path not in listed and not entry.same_as:
            yield Finding("unlisted_file", (dataset.location / entry.path).url, "a reader by glob finds rows nobody published")


def _petastorm_findings(dataset: Dataset) -> Iterator[Finding]:
    """Rows that Petastorm would miss; an adopted dataset's unischema is not checked."""
    place = dataset.location / COMMON_METADATA
    try:
        written_here = dataset.manifest is not None and dataset.manifest.cleaning is not None
        counts = count_row_groups(dataset.location, with_schema=written_here)
    except MetadataUnreadable as error:
        yield Finding("unreadable_metadata", place.url, str(error).partition(": ")[2])
        return
    if counts is not None and counts != Counter(dataset.row_groups.paths) and not _is_of_older_version(dataset, set(counts)):
        text = "its number of row groups by file is not that of the row-group table: Petastorm misses rows, or fails"
        yield Finding("inconsistent_manifest", place.url, text)


def _is_of_older_version(dataset: Dataset, files: set[str]) -> bool:
    """Return whether the files are an older version's, which Petastorm can still read."""
    return bool(files) and files <= left_behind(dataset.location, set(dataset.row_groups.files))


def _side_findings(root: Location, side: SideFile) -> Iterator[Finding]:
    place = root / side.path
    if not place.exists():
        yield Finding("missing_file", place.url, "the manifest names it")
    elif xxhash.xxh3_128_hexdigest(place.read_bytes()) != side.checksum:
        yield Finding("changed_bytes", place.url, "its checksum differs from the manifest's")


def _file_findings(dataset: Dataset, threads: int, on_file: Callable[[int, int], None] | None) -> Iterator[Finding]:
    records: dict[str, list[dict[str, Any]]] = {}
    for record in dataset.row_groups.table.to_pylist():
        records.setdefault(record["path"], []).append(record)
    keys = set().union(*dataset.partitions.values()) if dataset.partitions else set()
    wanted = pa.schema([field for field in stored_schema(dataset.schema) if field.name not in keys])
    strict = _Strictness(
        checksums=dataset.manifest is not None,
        # An adopted file's columns may all be declared nullable, as Spark does.
        nullability=dataset.manifest is not None and dataset.manifest.cleaning is not None,
        group_bytes=dataset.group_bytes,
        fields=Schema(tuple(field for field in dataset.schema if field.name not in keys)),
    )
    with ThreadPoolExecutor(threads_within(dataset.row_groups, threads, limit=dataset.group_bytes)) as pool:
        jobs = [
            pool.submit(_check_file, dataset.location / path, groups, wanted, strict=strict) for path, groups in records.items()
        ]
        for done, job in enumerate(jobs, start=1):
            yield from job.result()
            if on_file is not None:
                on_file(done, len(jobs))


def _check_file(place: Location, records: list[dict[str, Any]], wanted: pa.Schema, *, strict: _Strictness) -> list[Finding]:
    info = place.info()
    if info.type == pafs.FileType.NotFound:
        return [Finding("missing_file", place.url, f"{len(records)} row groups lie there")]
    size = records[0]["file_bytes"]
    try:
        return place.read(
            lambda stream: [
                *_changed(place, stream, records, info.size),
                *_drifted(place, stream, records, wanted, strict=strict),
            ]
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if info.size < size:
            return [Finding("truncated_file", place.url, f"{size} bytes were published, {info.size} are there")]
        return [Finding("unreadable_file", place.url, str(error))]


def _changed(place: Location, stream: Any, records: list[dict[str, Any]], size: int) -> Iterator[Finding]:
    outside = xxhash.xxh3_128()
    position = 0
    for record in sorted(records, key=lambda record_of_group: int(record_of_group["offset"])):
        outside.update(_read(stream, position, max(0, record["offset"] - position)))
        data = _read(stream, record["offset"], record["length"])
        position = max(position, record["offset"] + record["length"])
        if record["checksum"] is not None and xxhash.xxh3_128_hexdigest(data) != record["checksum"]:
            where = f"bytes {record['offset']} to {position}"
            yield Finding("changed_bytes", f"{place.url} row group {record['row_group']}", f"{where} differ from those published")
    outside.update(_read(stream, position, max(0, size - position)))
    if records[0]["file_checksum"] is not None and outside.hexdigest() != records[0]["file_checksum"]:
        yield Finding("changed_bytes", f"{place.url} footer", "bytes outside the row groups differ from those published")


def _read(stream: Any, offset: int, length: int) -> bytes:
    stream.seek(offset)
    return bytes(stream.read(length))


def _drifted(
    place: Location, stream: Any, records: list[dict[str, Any]], wanted: pa.Schema, *, strict: _Strictness
) -> Iterator[Finding]:
    metadata, _ = read_metadata(stream)
    file = parquet_file(stream, metadata=metadata)
    fields_there = {field.name: field for field in file.schema_arrow}
    for field in wanted:
        other = fields_there.get(field.name)
        if other is None and not strict.nullability and field.nullable:
            # Adopted as null in this file.
            continue
        if other is None or not _is_as_wanted(other, field, strict):
            text = f"field {field.name!r} is {other or 'missing'}, the schema says {field}"
            yield Finding("schema_drift", place.url, text)
    for name in sorted(key for key in fields_there.keys() - set(wanted.names) if not is_pandas_index(key)):
        yield Finding("schema_drift", place.url, f"field {name!r} is not in the schema")
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    meant = {record["row_group"]: (record["rows"], (record["offset"], record["length"])) for record in records}
    for index, group in enumerate(groups):
        rows, place_in_file = meant.pop(index, (0, (0, 0)))
        if group.num_rows != rows:
            text = f"{rows} rows were published, {group.num_rows} are there"
            yield Finding("row_count", f"{place.url} row group {index}", text)
        elif byte_range(group) != place_in_file:
            text = f"its bytes were published at {place_in_file}, they lie at {byte_range(group)}"
            yield Finding("changed_bytes", f"{place.url} row group {index}", text)
        else:
            yield from _bad_rows(place, stream, file, index, [field_wanted.name for field_wanted in wanted], strict=strict)
    for index, (rows, _) in meant.items():
        yield Finding("row_count", f"{place.url} row group {index}", f"{rows} rows were published, the row group is gone")


def _is_as_wanted(field: pa.Field, wanted: pa.Field, strict: _Strictness) -> bool:
    if strict.nullability:
        return bool(field.type == wanted.type and field.nullable == wanted.nullable)
    return is_held_as(field.type, wanted.type)


def _bad_rows(
    place: Location, stream: Any, file: pq.ParquetFile, index: int, wanted: list[str], *, strict: _Strictness
) -> Iterator[Finding]:
    """Find text that is not UTF-8 and values that do not widen; files with checksums are read for text only."""
    names = [field.name for field in file.schema_arrow if holds_text(field.type) and field.name in wanted]
    if strict.checksums and not names:
        return
    where, columns = f"{place.url} row group {index}", names if strict.checksums else None
    try:
        rows = read_rows(stream, file.metadata, index, columns=columns, where=where, limit=strict.group_bytes)
        check_text(rows, where)
        from_stored(rows, strict.fields, where)
    except (DecodeFailed, DatasetInvalid) as error:
        code = (
            "bad_text" if isinstance(error, DecodeFailed) else "bad_value" if isinstance(error, SchemaMismatch) else "too_large"
        )
        where, _, text = str(error).partition(": ")
        yield Finding(code, where, text)
