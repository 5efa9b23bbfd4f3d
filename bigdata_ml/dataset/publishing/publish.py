"""Publishing: written beside, verified, and put in place in one step.

At a new path that step is one rename. Over a dataset that is there, and on S3, which has no rename, files whose names carry the
publication's id are placed first, and the manifest is what puts them in force: see `generations`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from itertools import pairwise
from typing import Any

import xxhash

from bigdata_ml import __version__
from bigdata_ml.dataset.field_summary import Statistics, Vocabulary
from bigdata_ml.dataset.fingerprint import combine, content_fingerprint
from bigdata_ml.dataset.layout import MANIFEST, METADATA
from bigdata_ml.dataset.manifest import (
    Cleaning,
    Manifest,
    SideFile,
    SplitSummary,
    content_contract,
)
from bigdata_ml.dataset.optional import petastorm_files
from bigdata_ml.dataset.parquet.footers import Footer, read_footers
from bigdata_ml.dataset.publishing.claims import live_publications
from bigdata_ml.dataset.publishing.generations import commit, has_publication, sweep
from bigdata_ml.dataset.publishing.ledger import count_ledger
from bigdata_ml.dataset.publishing.staging import Staging, all_files, refuse_existing
from bigdata_ml.dataset.quarantine import count_quarantine
from bigdata_ml.dataset.row_groups import RowGroups, key_columns
from bigdata_ml.dataset.writer import PartFile
from bigdata_ml.errors import DatasetInvalid, JobRefused
from bigdata_ml.schema import Schema, stored_schema
from bigdata_ml.shown import redacted_json
from bigdata_ml.storage import Location, writing
from bigdata_ml.storage.exchange import put_later

__all__ = ["Contract", "publish"]


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


def publish(
    staging: Staging,
    files: Sequence[PartFile],
    contract: Contract,
    *,
    quarantine: Sequence[str],
    pages: Mapping[str, bytes],
    ledger: Sequence[str] = (),
) -> Manifest:
    """Verify what was written, add the metadata and put the whole in force at its destination.

    Where Petastorm is installed its `_common_metadata` is among the metadata.

    Args:
        staging: where the files are.
        files: what successful tasks wrote; files without rows are left out, and any other data file in the staging
            directory is a failed attempt's and is deleted.
        contract: the rest of the manifest.
        quarantine: paths of the quarantine files that successful tasks wrote.
        pages: further metadata files by path, such as the quality page.
        ledger: paths of the ledgers that successful tasks wrote; they name every file found, or there are none.

    Raises:
        DatasetInvalid: a file differs from what its task said of it, or the counts do not add up.
        JobRefused: something came to be at the destination meanwhile, or another job has published a version there.
        StorageUnavailable: the store does not take it: it is full, or a quota is exceeded. Nothing is published then.
    """
    files = sorted((file for file in files if file.rows), key=lambda file: file.path)
    root = staging.root
    _delete_failed_attempts(staging, {file.path for file in files} | {*quarantine, *ledger})
    footers = read_footers(root, [file.path for file in files])
    _verify(root, files, footers, contract)
    _verify_quarantine(root, quarantine, contract)
    _verify_ledger(root, ledger, contract)
    records = [record for pair in zip(files, footers, strict=True) for record in _with_bounds(*pair)]
    table = RowGroups.from_records(records, keys=key_columns(contract.schema))
    data = table.to_bytes()
    manifest = _manifest(staging, files, contract, table, data, quarantine, ledger)
    (root / manifest.row_groups.path).write_bytes(data)
    if staging.before is None:
        _publish_by_rename(staging, manifest, table, pages)
    else:
        placed = [*(file.path for file in files), *quarantine, *ledger, manifest.row_groups.path]
        _publish_in_place(staging, staging.before, manifest, table, placed, pages)
    return manifest


def _publish_by_rename(staging: Staging, manifest: Manifest, table: RowGroups, pages: Mapping[str, bytes]) -> None:
    root = staging.root
    every_page = _all_pages(root, manifest, table, pages)
    for path, page in every_page.items():
        (root / path).write_bytes(page)
    (root / MANIFEST).write_bytes(manifest.to_bytes())
    sides = (manifest.row_groups.path, *(side.path for side in (*manifest.quarantine, *manifest.ledger)))
    # Attempts whose executor was given up may have written on while the footers were read.
    _delete_failed_attempts(staging, {*table.files, *sides, *every_page, MANIFEST})
    refuse_existing(staging.destination)
    try:
        root.move(staging.destination)
    except OSError as error:
        raise JobRefused(f"{staging.destination.url} could not be published: {error}") from error


def _publish_in_place(
    staging: Staging, before: int, manifest: Manifest, table: RowGroups, placed: Sequence[str], pages: Mapping[str, bytes]
) -> None:
    """Place the files, put them in force, renew what only people and Petastorm look at, delete the version before the last."""
    root, destination = staging.root, staging.destination.confined()
    if staging.root != staging.destination:
        with writing(destination):
            for folder in sorted({(destination / path).parent.path for path in placed}):
                destination.filesystem.create_dir(folder, recursive=True)
            for path in placed:
                (root / path).move(destination / path)
    gone = set(placed) - set(all_files(destination))
    if gone:
        # What a publisher that stood still for long wrote may have been taken for debris.
        raise JobRefused(f"{(destination / min(gone)).url} is gone: another job took this one for dead; nothing was published")
    with ExitStack() as beside:
        renew = [
            beside.enter_context(put_later(destination / path, page))
            for path, page in _all_pages(destination, manifest, table, pages).items()
        ]
        commit(destination, before, manifest)
        for put in renew:
            put()
    sweep(destination, oldest=before, find_live=partial(live_publications, staging.destination))


def _all_pages(root: Location, manifest: Manifest, table: RowGroups, pages: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return by path what only people and Petastorm look at."""
    return {**petastorm_files(root, manifest.schema, table), **pages}


def _manifest(
    staging: Staging,
    files: Sequence[PartFile],
    contract: Contract,
    table: RowGroups,
    data: bytes,
    quarantine: Sequence[str],
    ledger: Sequence[str],
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
        row_groups=SideFile(path=f"{METADATA}/row_groups{staging.suffix}.arrow", checksum=xxhash.xxh3_128_hexdigest(data)),
        quarantine=tuple(_side_file(staging.root, path) for path in sorted(quarantine)),
        ledger=tuple(_side_file(staging.root, path) for path in sorted(ledger)),
        provenance=redacted_json(contract.provenance),
        cleaning=contract.cleaning,
    )


def _summary(groups: RowGroups) -> SplitSummary:
    return SplitSummary(rows=int(groups.rows.sum()), row_groups=len(groups), files=len(groups.files))


def _side_file(root: Location, path: str) -> SideFile:
    return SideFile(path=path, checksum=xxhash.xxh3_128_hexdigest((root / path).read_bytes()))


def _delete_failed_attempts(staging: Staging, wanted: set[str]) -> None:
    for path in all_files(staging.root):
        is_ours = staging.root != staging.destination or has_publication(path) == staging.publication
        if is_ours and path not in wanted:
            (staging.root / path).delete()


def _verify(root: Location, files: Sequence[PartFile], footers: Sequence[Footer], contract: Contract) -> None:
    """Compare every footer, read again, with what its task returned, and the rows with the cleaning's verdict."""
    wanted = stored_schema(contract.schema)
    for file, other in pairwise(files):
        if file.path == other.path:
            raise DatasetInvalid(f"{(root / file.path).url}: returned by two tasks; nothing was published")
    for file, footer in zip(files, footers, strict=True):
        in_footers = [(record["rows"], record["offset"], record["length"], record["file_bytes"]) for record in footer.records]
        meant = [
            (record_written["rows"], record_written["offset"], record_written["length"], record_written["file_bytes"])
            for record_written in file.records
        ]
        if in_footers != meant or not footer.schema.equals(wanted):
            raise DatasetInvalid(f"{(root / file.path).url}: the footer differs from what was written; nothing was published")
    rows = sum(file.rows for file in files)
    if rows != contract.cleaning.kept:
        raise DatasetInvalid(f"{rows} rows were written, {contract.cleaning.kept} were meant to be kept; nothing was published")


def _verify_quarantine(root: Location, quarantine: Sequence[str], contract: Contract) -> None:
    refused, lying = sum(contract.cleaning.refused.values()), count_quarantine(root, quarantine)
    if lying != refused:
        raise DatasetInvalid(f"{refused} rows were refused, {lying} lie in quarantine; nothing was published")


def _verify_ledger(root: Location, ledger: Sequence[str], contract: Contract) -> None:
    files_found, named = contract.cleaning.found, count_ledger(root, ledger)
    if ledger and named != files_found:
        raise DatasetInvalid(f"{files_found} files were found, {named} stand in the ledger; nothing was published")


def _with_bounds(file: PartFile, footer: Footer) -> Iterator[dict[str, Any]]:
    for meant, in_footer in zip(file.records, footer.records, strict=True):
        yield {**meant, "min": in_footer["min"], "max": in_footer["max"]}
