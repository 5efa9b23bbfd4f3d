"""The ledger is published, verified, replaced and deleted with its version; row groups are read again byte by byte."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tiny import SPLITS, contract_of, make_rows, write_part

from bigdata_ml.dataset import Dataset, collect_garbage, publish, stage, validate
from bigdata_ml.dataset.layout import LEDGER, MANIFEST
from bigdata_ml.dataset.publishing.ledger import LEDGER_SCHEMA, LedgerWriter, about_ledger, ledger_batches
from bigdata_ml.dataset.reading import read_published_group
from bigdata_ml.errors import ChecksumMismatch, DatasetInvalid, MetadataUnreadable

ABOUT = {"root": "file:///raw", "listed": 7}


def rows_of_ledger(count: int) -> pa.RecordBatch:
    rows = [
        {"path": f"{one}.png", "size": one, "sha256": f"{one:064x}", "stored": True, "warnings": ["blurry"]}
        for one in range(count)
    ]
    return pa.RecordBatch.from_pylist(rows, LEDGER_SCHEMA)


def published(place: Path, *, rows: int = 9, named: int = 9, replace: bool = False) -> Dataset:
    with stage(str(place), replace=replace) as staging:
        part = write_part(staging.root, make_rows(rows), split="train", name=f"x{staging.suffix}.parquet")
        paths = []
        for number, count in enumerate((named - 4, 4)):
            writer = LedgerWriter(staging.root, f"{number}{staging.suffix}.arrow", ABOUT)
            writer.write(rows_of_ledger(count))
            writer.close()
            paths.append(writer.path)
        # What a failed attempt left.
        LedgerWriter(staging.root, f"failed{staging.suffix}.arrow", ABOUT).close()
        publish(staging, [part], contract_of(rows), quarantine=[], pages={}, ledger=paths)
    return Dataset.open(place)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    dataset = published(tmp_path / "d")
    assert dataset.manifest is not None
    files = dataset.manifest.ledger
    assert [one.path for one in files] == [f"{LEDGER}/0.arrow", f"{LEDGER}/1.arrow"]
    found = [batch for one in files for batch in ledger_batches(dataset.location, one)]
    assert [batch.to_pylist() for batch in found] == [rows_of_ledger(5).to_pylist(), rows_of_ledger(4).to_pylist()]
    assert about_ledger(dataset.location, files[0]) == ABOUT
    assert sorted(one.name for one in (tmp_path / "d" / LEDGER).iterdir()) == ["0.arrow", "1.arrow"]
    assert validate(tmp_path / "d") == []


def test_a_manifest_without_ledger_is_read_as_before(tmp_path: Path) -> None:
    published(tmp_path / "d")
    place = tmp_path / "d" / MANIFEST
    written = json.loads(place.read_bytes())
    del written["ledger"], written["checksum"]
    place.write_text(json.dumps(written))
    manifest = Dataset.open(tmp_path / "d").manifest
    assert manifest is not None
    assert manifest.ledger == ()
    assert validate(tmp_path / "d") == []


def test_a_ledger_that_does_not_name_every_file_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="9 files were found, 8 stand in the ledger; nothing was published"):
        published(tmp_path / "d", named=8)
    assert not (tmp_path / "d").exists()


def test_a_ledger_that_changed_is_found(tmp_path: Path, change_bytes: Callable[[Path, int], None]) -> None:
    dataset = published(tmp_path / "d")
    assert dataset.manifest is not None
    change_bytes(tmp_path / "d" / LEDGER / "0.arrow", 300)
    (tmp_path / "d" / LEDGER / "1.arrow").unlink()
    assert [found.code for found in validate(tmp_path / "d")] == ["changed_bytes", "missing_file"]
    first, second = dataset.manifest.ledger
    with pytest.raises(ChecksumMismatch, match=r"0\.arrow: its checksum differs"):
        list(ledger_batches(dataset.location, first))
    with pytest.raises(MetadataUnreadable, match=r"1\.arrow: cannot be read"):
        about_ledger(dataset.location, second)


def test_a_ledger_goes_with_its_version(tmp_path: Path) -> None:
    first = published(tmp_path / "d")
    second = published(tmp_path / "d", replace=True)
    assert first.manifest is not None
    assert second.manifest is not None
    mine = {one.path for one in second.manifest.ledger}
    # The version before stays whole until the next but one.
    assert list(ledger_batches(first.location, first.manifest.ledger[0]))
    assert {one.path for one in first.manifest.ledger} <= set(collect_garbage(tmp_path / "d"))
    assert {f"{LEDGER}/{one.name}" for one in (tmp_path / "d" / LEDGER).iterdir()} == mine
    assert validate(tmp_path / "d") == []


def records(dataset: Dataset) -> list[dict[str, Any]]:
    return list(dataset.row_groups.table.to_pylist())


def test_a_published_row_group_is_read_as_it_was_written(tiny: Dataset) -> None:
    found = [read_published_group(tiny.location, one, ("label", "image")) for one in records(tiny)]
    whole = pa.concat_tables(found)
    assert whole.column_names == ["label", "image"]
    assert whole.num_rows == sum(SPLITS.values())
    assert whole.schema.field("image").type == pa.binary()


@pytest.mark.parametrize("place", ["group", "footer"])
def test_a_row_group_of_which_a_byte_changed_is_refused(
    tiny: Dataset, change_bytes: Callable[[Path, int], None], place: str
) -> None:
    record = records(tiny)[0]
    change_bytes(Path(tiny.location.path) / record["path"], record["offset"] + 20 if place == "group" else -60)
    with pytest.raises(DatasetInvalid, match=rf"{record['path']} row group 0: "):
        read_published_group(tiny.location, record, ("label",))


def test_a_file_that_was_cut_or_is_gone_is_refused(tiny: Dataset) -> None:
    record = records(tiny)[0]
    file = Path(tiny.location.path) / record["path"]
    with pytest.raises(DatasetInvalid, match="has no column 'colour'"):
        read_published_group(tiny.location, record, ("colour",))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ChecksumMismatch, match=f"bytes, {record['file_bytes']} were published"):
        read_published_group(tiny.location, record, ("label",))
    file.unlink()
    with pytest.raises(DatasetInvalid, match="row group 0: cannot be read"):
        read_published_group(tiny.location, record, ("label",))
