"""Adds a manifest to existing Parquet files in place; the data are not rewritten."""

import dataclasses
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from os import PathLike
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from bigdata_ml import __version__
from bigdata_ml.dataset.dataset import Dataset, open_plain
from bigdata_ml.dataset.fingerprint import combine, content_fingerprint, hash_rows, sum_of_rows
from bigdata_ml.dataset.group_rows import check_text, group_rows
from bigdata_ml.dataset.layout import MANIFEST, METADATA, ROW_GROUPS
from bigdata_ml.dataset.manifest import Manifest, SideFile, SplitSummary, content_contract
from bigdata_ml.dataset.parquet.footers import read_metadata
from bigdata_ml.dataset.parquet.group_bytes import GROUP_BYTES, read_rows, threads_within
from bigdata_ml.dataset.publishing.generations import commit, files_of, left_behind, manifest_of, newest
from bigdata_ml.dataset.reading import read_group_bytes
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.errors import DatasetInvalid, DatasetNotFound, JobRefused, MetadataUnreadable, StorageUnavailable
from bigdata_ml.storage import Location, locate
from bigdata_ml.storage.exchange import put_over

__all__ = ["adopt"]


@dataclass(frozen=True, slots=True)
class _Read:
    """Facts about a row group: the checksum of its bytes, the sum of its rows' hashes, its size as Arrow arrays."""

    checksum: str
    content: int
    memory: int


def adopt(
    url: str | PathLike[str],
    *,
    replace: bool = False,
    use_unischema: bool = True,
    missing_as_null: bool = False,
    group_bytes: int = GROUP_BYTES,
    threads: int = 8,
    on_file: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Add a manifest to the Parquet files at `url`, and return it.

    It reads every byte once for the checksums and the content fingerprint, and writes only `_bigdata_ml/`, so other readers
    are unaffected. The dataset then opens by two small reads, and readers verify the checksums. Top directories `split=NAME` are
    splits, other `KEY=VALUE` directories are fields. There are no statistics or vocabularies: only preparation jobs make them.

    Args:
        url: the dataset's directory.
        replace: whether to replace an existing manifest, its vocabularies and statistics; use it after files were added or
            removed.
        use_unischema, missing_as_null, group_bytes: see `Dataset.open`.
        threads: files read at the same time, of each a row group in memory; fewer where these take more than `group_bytes`.
        on_file: called after each file with (files done, files in all), to show progress.

    Raises:
        DatasetNotFound: nothing is there, or no Parquet files.
        DatasetInvalid: files that are broken or differ in schema, or that changed meanwhile.
        DecodeFailed: a text that is no UTF-8, naming file, row group, row and field.
        JobRefused: there is a manifest already.
        StorageUnavailable: the store does not answer, or cannot be written to.
    """
    root = locate(url)
    if root.is_file():
        raise DatasetNotFound(f"{root.url}: is a file, and a manifest is a directory's; put it into a directory of its own")
    if not root.is_directory():
        raise DatasetNotFound(f"{root.url}: no directory is there; a dataset is a directory of Parquet files")
    # Readers follow no link out of the dataset, so `adopt` follows none either.
    root = root.confined()
    before = _version_before(root, replace=replace)
    dataset = open_plain(root, use_unischema=use_unischema, missing_as_null=missing_as_null)
    dataset = dataclasses.replace(dataset, group_bytes=group_bytes)
    read = _files_read(dataset, threads, on_file)
    again = open_plain(root, use_unischema=use_unischema, missing_as_null=missing_as_null)
    if again.fingerprint != dataset.fingerprint:
        raise DatasetInvalid(f"{root.url}: files changed while they were read; run adopt when no job writes there")
    table = dataset.row_groups.with_column("checksum", [group_read.checksum for group_read in read])
    table = table.with_column("memory_bytes", [group_read.memory for group_read in read])
    manifest = _manifest(dataset, table, combine([group_read.content for group_read in read]), beside=before > 0)
    try:
        (root / manifest.row_groups.path).write_bytes(table.to_bytes())
    except OSError as error:
        raise StorageUnavailable(f"{root.url}: the metadata cannot be written: {error}") from error
    # Nothing changes for readers before this point.
    if before:
        commit(root, before, manifest)
    else:
        put_over(root / MANIFEST, manifest.to_bytes())
    return manifest


def _version_before(root: Location, *, replace: bool) -> int:
    """Return the number of the version that is there and may be replaced, 0 for none."""
    place = root / MANIFEST
    if not place.exists():
        return 0
    if not replace:
        raise JobRefused(f"{place.url} is there already; say --replace (replace=True) to have one from the files as they are now")
    number = newest(root)
    try:
        own = files_of(root, manifest_of(root, number))
    except (MetadataUnreadable, OSError):
        return number
    older = min((path for path in left_behind(root, own) if path.endswith(".parquet")), default=None)
    if older is not None:
        raise JobRefused(f"{(root / older).url} belongs to an older version, whose rows would come twice; bigdata-ml gc first")
    return number


def _files_read(dataset: Dataset, threads: int, on_file: Callable[[int, int], None] | None) -> list[_Read]:
    """Return what every row group holds, in order."""
    groups_read: list[_Read] = []
    records: dict[str, list[dict[str, Any]]] = {}
    for record in dataset.row_groups.table.to_pylist():
        records.setdefault(record["path"], []).append(record)
    with ThreadPoolExecutor(threads_within(dataset.row_groups, threads, limit=dataset.group_bytes)) as pool:
        for done, read in enumerate(pool.map(lambda file_records: _read_file(dataset, file_records), records.values()), start=1):
            groups_read += read
            if on_file is not None:
                on_file(done, len(records))
    return groups_read


def _read_file(dataset: Dataset, records: list[dict[str, Any]]) -> list[_Read]:
    place = dataset.location / records[0]["path"]
    try:
        read: list[_Read] = place.read(lambda stream: _read_groups(dataset, stream, records))
    except (pa.ArrowException, OSError) as error:
        raise DatasetInvalid(f"{place.url}: cannot be read ({error}); remove the file or write it again") from error
    return read


def _read_groups(dataset: Dataset, stream: pa.NativeFile, records: list[dict[str, Any]]) -> list[_Read]:
    metadata, _ = read_metadata(stream)
    return [_read_group(dataset, stream, metadata, record) for record in records]


def _read_group(dataset: Dataset, stream: pa.NativeFile, metadata: pq.FileMetaData, record: dict[str, Any]) -> _Read:
    part, checksum = read_group_bytes(stream, record)
    where = f"{(dataset.location / record['path']).url} row group {record['row_group']}"
    read = read_rows(part, metadata, record["row_group"], where=where, limit=dataset.group_bytes)
    table = group_rows(read, dataset, dataset.schema, record)
    rows = table.select(dataset.schema.names)
    check_text(rows, where)
    content = sum_of_rows(hash_rows(rows, split=record["split"])) if rows.num_rows else 0
    return _Read(checksum, content, rows.nbytes)


def _manifest(dataset: Dataset, table: RowGroups, content: int, *, beside: bool) -> Manifest:
    now = datetime.now(timezone.utc)
    publication = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    splits = {name: _summary(table.of_split(name)) for name in table.splits}
    contract = content_contract(dataset.schema, None, {}, {}, sorted(splits))
    # Readers of the replaced manifest still find its table.
    path = f"{METADATA}/row_groups.{publication}.arrow" if beside else ROW_GROUPS
    return Manifest(
        publication=publication,
        created=now.isoformat(timespec="seconds"),
        written_by=f"bigdata_ml {__version__}",
        rows=dataset.rows,
        schema=dataset.schema,
        label=None,
        vocabularies={},
        statistics={},
        splits=splits,
        split_rule=None,
        content=content_fingerprint(dataset.rows, content, contract),
        layout=table.layout_fingerprint(),
        row_groups=SideFile(path=path, checksum=xxhash.xxh3_128_hexdigest(table.to_bytes())),
        quarantine=(),
        partitions=tuple(next(iter(dataset.partitions.values()))) if dataset.partitions else (),
        provenance={"adopted": {"unischema": dataset.unischema}},
        cleaning=None,
    )


def _summary(groups: RowGroups) -> SplitSummary:
    return SplitSummary(rows=int(groups.rows.sum()), row_groups=len(groups), files=len(groups.files))
