"""Publishing to a new path: written beside, verified, renamed once. A killed job leaves nothing but named debris."""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import xxhash

from bigdata_ml import __version__
from bigdata_ml.dataset.fingerprint import combine, content_fingerprint
from bigdata_ml.dataset.footers import Footer, read_footers
from bigdata_ml.dataset.layout import MANIFEST, ROW_GROUPS
from bigdata_ml.dataset.manifest import (
    Cleaning,
    Manifest,
    SideFile,
    SplitSummary,
    Statistics,
    Vocabulary,
    content_contract,
)
from bigdata_ml.dataset.petastorm_writing import petastorm_is_installed, write_common_metadata
from bigdata_ml.dataset.quarantine import count_quarantine
from bigdata_ml.dataset.row_groups import RowGroups, key_columns
from bigdata_ml.dataset.writer import PartFile
from bigdata_ml.errors import DatasetInvalid, JobRefused, StorageUnavailable
from bigdata_ml.schema import Schema
from bigdata_ml.storage import Location, locate

__all__ = ["Contract", "Staging", "publish", "stage"]

HEARTBEAT_SECONDS = 10.0
DEAD_AFTER_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """What a job knows of its dataset besides the files; see `Manifest` for each."""

    schema: Schema
    label: str | None
    vocabularies: Mapping[str, Vocabulary]
    statistics: Mapping[str, Statistics]
    split_rule: Mapping[str, Any] | None
    cleaning: Cleaning
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Staging:
    """A directory beside the destination in which a dataset is written before it is published."""

    publication: str
    root: Location
    destination: Location
    debris: tuple[str, ...]


@contextmanager
def stage(url: str) -> Iterator[Staging]:
    """Make a staging directory for a dataset at `url`; what was not published when the body ends is deleted.

    Debris of jobs that died is deleted first and named in `Staging.debris`: of jobs of this machine whose process is
    gone, and of others whose heartbeat stopped 10 minutes ago.

    Raises:
        JobRefused: something is at `url` already, or that store has no rename of directories.
        StorageUnavailable: the store does not answer.
    """
    destination = locate(url)
    if not destination.is_local and destination.url.startswith("s3:"):
        raise JobRefused(
            f"{url}: S3 has no rename, so a dataset cannot be published there yet; publish to a directory and copy it"
        )
    refuse_existing(destination)
    publication = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    debris = tuple(_clean_debris(destination))
    root = destination.parent / f".{destination.name}.publishing-{publication}"
    _write_claim(root)
    root.filesystem.create_dir(root.path, recursive=True)
    stopped = threading.Event()
    heart = threading.Thread(target=_beat, args=(root, stopped), daemon=True)
    heart.start()
    try:
        yield Staging(publication, root, destination, debris)
    finally:
        stopped.set()
        heart.join()
        root.delete()
        _claim(root).delete()


def refuse_existing(destination: Location) -> None:
    """Raise JobRefused if something is at the destination already."""
    if destination.exists():
        raise JobRefused(
            f"{destination.url} exists already and would be overwritten; give another destination, or delete it first"
        )


def publish(
    staging: Staging,
    files: Sequence[PartFile],
    contract: Contract,
    *,
    quarantine: Sequence[str],
    pages: Mapping[str, bytes],
) -> Manifest:
    """Verify what was written, add the metadata and rename the whole to its destination.

    Where Petastorm is installed its `_common_metadata` is among the metadata.

    Args:
        staging: where the files are.
        files: what successful tasks wrote; files without rows are left out, and any other data file in the staging
            directory is a failed attempt's and is deleted.
        contract: the rest of the manifest.
        quarantine: paths of the quarantine files that successful tasks wrote.
        pages: further metadata files by path, such as the quality page.

    Raises:
        DatasetInvalid: a file differs from what its task said of it, or the counts do not add up.
        JobRefused: something came to be at the destination meanwhile.
    """
    files = sorted((file for file in files if file.rows), key=lambda file: file.path)
    root = staging.root
    _delete_failed_attempts(root, {file.path for file in files} | set(quarantine))
    footers = read_footers(root, [file.path for file in files])
    _verify(root, files, footers, contract)
    _verify_quarantine(root, quarantine, contract)
    records = [record for pair in zip(files, footers, strict=True) for record in _with_bounds(*pair)]
    table = RowGroups.from_records(records, keys=key_columns(contract.schema))
    data = table.to_bytes()
    (root / ROW_GROUPS).write_bytes(data)
    if petastorm_is_installed():
        write_common_metadata(root, contract.schema, table)
    for path, page in pages.items():
        (root / path).write_bytes(page)
    manifest = _manifest(staging, files, contract, table, data, quarantine)
    (root / MANIFEST).write_bytes(manifest.to_bytes())
    refuse_existing(staging.destination)
    try:
        root.move(staging.destination)
    except OSError as error:
        raise JobRefused(f"{staging.destination.url} could not be published: {error}") from error
    return manifest


def _manifest(
    staging: Staging,
    files: Sequence[PartFile],
    contract: Contract,
    table: RowGroups,
    data: bytes,
    quarantine: Sequence[str],
) -> Manifest:
    rows = sum(file.rows for file in files)
    splits = {name: _summary(table.of_split(name)) for name in table.splits}
    covered = content_contract(contract.schema, contract.label, contract.vocabularies, contract.statistics, sorted(splits))
    return Manifest(
        publication=staging.publication,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        written_by=f"bigdata_ml {__version__}",
        rows=rows,
        schema=contract.schema,
        label=contract.label,
        vocabularies=contract.vocabularies,
        statistics=contract.statistics,
        splits=splits,
        split_rule=contract.split_rule,
        content=content_fingerprint(rows, combine([file.content for file in files]), covered),
        layout=table.layout_fingerprint(),
        row_groups=SideFile(path=ROW_GROUPS, checksum=xxhash.xxh3_128_hexdigest(data)),
        quarantine=tuple(_side_file(staging.root, path) for path in sorted(quarantine)),
        provenance=contract.provenance,
        cleaning=contract.cleaning,
    )


def _summary(groups: RowGroups) -> SplitSummary:
    return SplitSummary(rows=int(groups.rows.sum()), row_groups=len(groups), files=len(groups.files))


def _side_file(root: Location, path: str) -> SideFile:
    return SideFile(path=path, checksum=xxhash.xxh3_128_hexdigest((root / path).read_bytes()))


def _delete_failed_attempts(root: Location, wanted: set[str]) -> None:
    for path, info in _all_files(root):
        if info.type == pafs.FileType.File and path not in wanted:
            (root / path).delete()


def _all_files(root: Location) -> Iterator[tuple[str, pafs.FileInfo]]:
    start = len(root.path) + 1
    for info in root.filesystem.get_file_info(pafs.FileSelector(root.path, recursive=True)):
        yield info.path[start:], info


def _verify(root: Location, files: Sequence[PartFile], footers: Sequence[Footer], contract: Contract) -> None:
    """Compare every footer, read again, with what its task returned, and the rows with the cleaning's verdict."""
    wanted = contract.schema.to_arrow()
    for file, other in pairwise(files):
        if file.path == other.path:
            raise DatasetInvalid(f"{(root / file.path).url}: returned by two tasks; nothing was published")
    for file, footer in zip(files, footers, strict=True):
        found = [(one["rows"], one["offset"], one["length"], one["file_bytes"]) for one in footer.records]
        meant = [(one["rows"], one["offset"], one["length"], one["file_bytes"]) for one in file.records]
        if found != meant or not footer.schema.equals(wanted):
            raise DatasetInvalid(f"{(root / file.path).url}: the footer differs from what was written; nothing was published")
    rows = sum(file.rows for file in files)
    if rows != contract.cleaning.kept:
        raise DatasetInvalid(f"{rows} rows were written, {contract.cleaning.kept} were meant to be kept; nothing was published")


def _verify_quarantine(root: Location, quarantine: Sequence[str], contract: Contract) -> None:
    refused, lying = sum(contract.cleaning.refused.values()), count_quarantine(root, quarantine)
    if lying != refused:
        raise DatasetInvalid(f"{refused} rows were refused, {lying} lie in quarantine; nothing was published")


def _with_bounds(file: PartFile, footer: Footer) -> Iterator[dict[str, Any]]:
    for meant, found in zip(file.records, footer.records, strict=True):
        yield {**meant, "min": found["min"], "max": found["max"]}


def _claim(staging: Location) -> Location:
    # Beside the staging directory, not in it: a heartbeat during the rename must not end up in the dataset.
    return staging.parent / f"{staging.name}.claim"


def _write_claim(staging: Location) -> None:
    claim = {"host": _host(), "pid": os.getpid(), "beat": time.time()}
    _claim(staging).write_bytes(json.dumps(claim).encode())


def _beat(staging: Location, stopped: threading.Event) -> None:
    while not stopped.wait(HEARTBEAT_SECONDS):
        # A store that hiccups once must not make a live job look dead.
        with suppress(OSError, StorageUnavailable):
            _write_claim(staging)


def _clean_debris(destination: Location) -> Iterator[str]:
    """Delete what dead publishers of this destination left, yielding the URL of each directory."""
    parent = destination.parent
    if not parent.exists():
        return
    prefix = f".{destination.name}.publishing-"
    found = [info.path.rsplit("/", 1)[-1] for info in parent.filesystem.get_file_info(pafs.FileSelector(parent.path))]
    for name in sorted({one.removesuffix(".claim") for one in found if one.startswith(prefix)}):
        staging = parent / name
        if _is_dead(staging):
            if staging.exists():
                yield staging.url
            staging.delete()
            _claim(staging).delete()


def _is_dead(staging: Location) -> bool:
    try:
        claim = json.loads(_claim(staging).read_bytes())
        host, pid, beat = claim["host"], int(claim["pid"]), float(claim["beat"])
    except (OSError, ValueError, KeyError, TypeError):
        # No claim, or one that is just being rewritten: only age can tell.
        host, pid, beat = "", 0, max(one.info().mtime_ns or 0 for one in (staging, _claim(staging))) / 1e9
    if host == _host() and not _is_running(pid):
        return True
    return time.time() - beat > DEAD_AFTER_SECONDS


def _host() -> str:
    """Return this host and its process namespace: containers share names, and see only their own processes."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{namespace.stat().st_ino if namespace.exists() else 0}"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
