"""One test per finding: what was done to a dataset, and what is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import stored_rows, write_plain

from bigdata_ml.dataset import Dataset, Finding, validate
from bigdata_ml.errors import DatasetNotFound

PART = "split=train/part-0.parquet"
Change = Callable[[Path, int], None]


def codes(findings: list[Finding]) -> list[str]:
    return sorted({finding.code for finding in findings})


@pytest.fixture
def part(tiny: Dataset) -> Path:
    """A data file of 23 rows."""
    return Path(tiny.url) / PART


def test_a_clean_dataset_has_no_findings(tiny: Dataset) -> None:
    assert validate(tiny.url) == []


def test_plain_parquet_that_is_whole_has_no_findings(plain: Dataset) -> None:
    assert validate(plain.url) == []


def test_progress_is_told_after_each_file(tiny: Dataset) -> None:
    told: list[tuple[int, int]] = []
    validate(tiny.url, on_file=lambda done, of: told.append((done, of)))
    assert told == [(done, 6) for done in range(1, 7)]


def test_a_missing_file_is_found(tiny: Dataset, part: Path) -> None:
    part.unlink()
    assert [str(one) for one in validate(tiny.url)] == [f"missing_file: {part}: 5 row groups lie there"]


@pytest.mark.parametrize("left", [0, 3, 100, -1])
def test_a_truncated_file_is_found(tiny: Dataset, part: Path, left: int) -> None:
    part.write_bytes(part.read_bytes()[:left])
    (finding,) = validate(tiny.url)
    assert (finding.code, finding.place) == ("truncated_file", str(part))


def test_a_changed_byte_in_a_row_group_is_found_with_its_row_group(tiny: Dataset, part: Path, change_bytes: Change) -> None:
    group = tiny.row_groups.table.filter(pa.compute.equal(tiny.row_groups.table["path"], PART)).to_pylist()[3]
    change_bytes(part, group["offset"] + group["length"] // 2)
    (finding,) = validate(tiny.url)
    assert (finding.code, finding.place) == ("changed_bytes", f"{part} row group 3")


@pytest.mark.parametrize("place", [1, -1, -6, -40, -300])
def test_a_changed_byte_outside_the_row_groups_is_found(tiny: Dataset, part: Path, change_bytes: Change, place: int) -> None:
    change_bytes(part, place)
    findings = validate(tiny.url)
    assert codes(findings) in (["changed_bytes"], ["unreadable_file"], ["changed_bytes", "schema_drift"])
    assert all(one.place.startswith(str(part)) for one in findings)


def test_no_changed_byte_of_a_file_goes_unnoticed_or_breaks_the_check(tiny: Dataset, part: Path, change_bytes: Change) -> None:
    shutil.rmtree(part.parents[1] / "split=validation")
    for place in range(0, part.stat().st_size, 37):
        change_bytes(part, place)
        assert any(finding.place.startswith(str(part)) for finding in validate(tiny.url)), place
        change_bytes(part, place)


def test_appended_bytes_are_found(tiny: Dataset, part: Path) -> None:
    part.write_bytes(part.read_bytes() + b"more")
    assert codes(validate(tiny.url)) == ["unreadable_file"]


@pytest.mark.parametrize("rows", [4, 22, 24, 400])
def test_a_file_replaced_by_one_of_other_rows_is_found(tiny: Dataset, part: Path, rows: int) -> None:
    pq.write_table(stored_rows(rows), part, row_group_size=5)
    assert codes(validate(tiny.url)) == ["changed_bytes", "row_count"]


def test_schema_drift_is_found_by_field(tiny: Dataset, part: Path) -> None:
    rows = stored_rows(23).drop_columns(["note"]).append_column("extra", pa.array([1] * 23))
    rows = rows.set_column(0, "id", rows["id"].cast(pa.int32()))
    pq.write_table(rows, part, row_group_size=5)
    drift = [finding.text for finding in validate(tiny.url) if finding.code == "schema_drift"]
    assert [text.split("'")[1] for text in drift] == ["id", "note", "extra"]


def test_a_field_that_became_nullable_is_schema_drift(tiny: Dataset, part: Path) -> None:
    rows = stored_rows(23)
    pq.write_table(rows.cast(pa.schema([field.with_nullable(True) for field in rows.schema])), part, row_group_size=5)
    assert "schema_drift" in codes(validate(tiny.url))


@pytest.mark.parametrize("data", [b"", b"garbage", b'{"format": "bigdata_ml", "version": 1', b"\xff\xfe\x00"])
def test_an_unreadable_manifest_is_found(tiny: Dataset, data: bytes) -> None:
    place = Path(tiny.url) / "_bigdata_ml/manifest.json"
    place.write_bytes(data)
    (finding,) = validate(tiny.url)
    assert (finding.code, finding.place) == ("unreadable_metadata", str(place))


def test_a_missing_manifest_is_found_though_the_rest_would_open_as_plain_parquet(tiny: Dataset) -> None:
    place = Path(tiny.url) / "_bigdata_ml/manifest.json"
    place.unlink()
    assert [(one.code, one.place) for one in validate(tiny.url)] == [("missing_file", str(place))]


@pytest.mark.parametrize("data", [b"", b"garbage", None])
def test_an_unreadable_row_group_table_is_found(tiny: Dataset, data: bytes | None) -> None:
    place = Path(tiny.url) / "_bigdata_ml/row_groups.arrow"
    place.unlink() if data is None else place.write_bytes(data)
    (finding,) = validate(tiny.url)
    assert (finding.code, finding.place) == ("unreadable_metadata", str(place))


def test_a_manifest_that_names_another_row_group_table_is_unreadable_metadata(tiny: Dataset) -> None:
    place = Path(tiny.url) / "_bigdata_ml/manifest.json"
    place.write_bytes(place.read_bytes().replace(b"_bigdata_ml/row_groups.arrow", b"elsewhere/row_groups.arrow"))
    assert codes(validate(tiny.url)) == ["unreadable_metadata"]


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [("rows", 70, "row_count"), ("splits", {"train": {"rows": 1, "row_groups": 1, "files": 1}}, "row_count"),
     ("fingerprints", {"content": "0", "layout": "0"}, "inconsistent_manifest")],
)  # fmt: skip
def test_a_manifest_that_contradicts_its_row_groups_is_found(tiny: Dataset, key: str, value: object, code: str) -> None:
    place = Path(tiny.url) / "_bigdata_ml/manifest.json"
    place.write_text(json.dumps({**json.loads(place.read_bytes()), key: value, "checksum": None}))
    assert code in codes(validate(tiny.url))


def test_a_file_that_nobody_published_is_found(tiny: Dataset, part: Path) -> None:
    shutil.copy(part, part.with_name("more.parquet"))
    assert [(one.code, one.place) for one in validate(tiny.url)] == [("unlisted_file", str(part.with_name("more.parquet")))]


@pytest.mark.parametrize(("data", "code"), [(None, "missing_file"), (b"garbage", "changed_bytes")])
def test_a_quarantine_that_is_missing_or_changed_is_found(tiny: Dataset, data: bytes | None, code: str) -> None:
    place = Path(tiny.url) / "_bigdata_ml/quarantine/a.arrow"
    place.unlink() if data is None else place.write_bytes(data)
    assert [(one.code, one.place) for one in validate(tiny.url)] == [(code, str(place))]


def test_a_truncated_plain_file_is_found(plain: Dataset) -> None:
    place = Path(plain.url) / "b.parquet"
    place.write_bytes(place.read_bytes()[:-20])
    assert [(one.code, one.place) for one in validate(plain.url)] == [("unreadable_file", str(place))]


def test_a_damaged_page_of_a_plain_file_is_found(plain: Dataset, change_bytes: Change) -> None:
    place = Path(plain.url) / "a.parquet"
    change_bytes(place, 5)
    assert [(one.code, one.place) for one in validate(plain.url)] == [("unreadable_file", str(place))]


def test_plain_files_of_differing_schemas_are_schema_drift(tmp_path: Path) -> None:
    write_plain(tmp_path, {"a.parquet": pa.table({"x": [1]}), "b.parquet": pa.table({"y": [1]})})
    assert codes(validate(tmp_path)) == ["schema_drift"]


def test_a_dataset_that_is_not_there_is_an_error_no_finding(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound):
        validate(tmp_path / "nope")
