import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from petastorm_pickles import Class, Object, dumps, field, unischema, write_metadata
from tiny import write_plain

from bigdata_ml.dataset import Dataset, RowGroups, adopt, collect_garbage, validate
from bigdata_ml.errors import ChecksumMismatch, DatasetInvalid, DatasetNotFound, JobRefused, MetadataUnreadable, SchemaMismatch
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.schema import Codec

DATA = Path(__file__).parent.parent / "data" / "petastorm"
ROWS = pa.table({"id": range(20), "text": [None if one % 3 else f"t{one}" for one in range(20)]})


@pytest.fixture
def petastorms(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "0.13.1" / "dataset", tmp_path / "petastorms"))


def rows_of(dataset: Dataset) -> list[dict[str, object]]:
    reader = open_reader(dataset, ReadOptions(shuffle=False), global_batch_size=1)
    return [row for batch in reader for row in batch.to_pylist()]


def files_of(directory: Path) -> dict[str, bytes]:
    return {str(one.relative_to(directory)): one.read_bytes() for one in directory.rglob("*") if one.is_file()}


def test_an_adopted_dataset_has_the_rows_and_fields_it_had(petastorms: Path) -> None:
    before, files = Dataset.open(petastorms), files_of(petastorms)
    manifest = adopt(petastorms)
    after = Dataset.open(petastorms)
    assert after.schema == before.schema
    assert rows_of(after) == rows_of(before)
    assert (manifest.rows, manifest.partitions, manifest.cleaning) == (4, ("kind",), None)
    assert manifest.provenance == {"adopted": {"unischema": "Everything"}}
    added = {"_bigdata_ml/manifest.json", "_bigdata_ml/row_groups.arrow"}
    assert files_of(petastorms).keys() == files.keys() | added
    assert {name: data for name, data in files_of(petastorms).items() if name not in added} == files


@pytest.mark.parametrize("version", ["0.7.7", "0.9.8", "0.12.1", "0.13.1"])
def test_what_was_adopted_validates(tmp_path: Path, version: str) -> None:
    directory = Path(shutil.copytree(DATA / version / "dataset", tmp_path / "dataset"))
    adopt(directory)
    assert validate(directory) == []


def test_the_same_rows_written_by_two_versions_have_one_content(tmp_path: Path) -> None:
    found = set()
    for version in ("0.12.1", "0.13.1"):
        found.add(adopt(shutil.copytree(DATA / version / "dataset", tmp_path / version)).content)
    assert len(found) == 1


def test_content_follows_from_the_rows_and_layout_from_the_files(tmp_path: Path) -> None:
    one = adopt(write_plain(tmp_path / "one", {"a.parquet": ROWS}))
    two = adopt(write_plain(tmp_path / "two", {"a.parquet": ROWS.slice(7), "b.parquet": ROWS.slice(0, 7)}))
    other = adopt(write_plain(tmp_path / "other", {"a.parquet": ROWS.slice(1)}))
    assert one.content == two.content != other.content
    assert one.layout != two.layout


def test_content_is_that_of_a_dataset_that_a_job_published(tmp_path: Path, tiny: Dataset) -> None:
    assert tiny.manifest is not None
    shutil.copytree(tiny.url.removeprefix("file://"), tmp_path / "copy", ignore=shutil.ignore_patterns("_bigdata_ml"))
    adopted = Dataset.open(tmp_path / "copy")
    manifest = adopt(tmp_path / "copy")
    assert manifest.rows == tiny.rows
    assert {name: one.rows for name, one in manifest.splits.items()} == {
        name: one.rows for name, one in tiny.manifest.splits.items()
    }
    assert adopted.splits == ("train", "validation", "test")
    published, found = tiny.row_groups.table, Dataset.open(tmp_path / "copy").row_groups.table
    assert set(zip(published["path"].to_pylist(), published["checksum"].to_pylist(), strict=True)) == set(
        zip(found["path"].to_pylist(), found["checksum"].to_pylist(), strict=True)
    )
    assert set(published["file_checksum"].to_pylist()) == set(found["file_checksum"].to_pylist())


def test_checksums_are_enforced_from_then_on(tmp_path: Path, change_bytes: Callable[[Path, int], None]) -> None:
    directory = Path(write_plain(tmp_path / "plain", {"a.parquet": ROWS}))
    adopt(directory)
    change_bytes(directory / "a.parquet", 30)
    with pytest.raises(ChecksumMismatch, match=r"a\.parquet row group 0"):
        rows_of(Dataset.open(directory))
    assert {found.code for found in validate(directory)} == {"changed_bytes"}


def test_a_manifest_that_is_there_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    directory = Path(write_plain(tmp_path / "plain", {"a.parquet": ROWS}))
    first = adopt(directory)
    write_plain(directory, {"b.parquet": ROWS})
    assert [found.code for found in validate(directory)] == ["unlisted_file"]
    with pytest.raises(JobRefused, match=r"manifest\.json is there already; say --replace"):
        adopt(directory)
    second = adopt(directory, replace=True)
    assert (first.rows, second.rows) == (20, 40)
    assert Dataset.open(directory).rows == 40
    assert validate(directory) == []
    collect_garbage(directory)
    assert sorted(one.name for one in (directory / "_bigdata_ml").iterdir()) == [
        "manifest.json",
        "manifests",
        Path(second.row_groups.path).name,
    ]


def test_a_broken_manifest_can_be_replaced(tmp_path: Path) -> None:
    directory = Path(write_plain(tmp_path / "plain", {"a.parquet": ROWS}))
    adopt(directory)
    (directory / "_bigdata_ml" / "manifest.json").write_text("{")
    adopt(directory, replace=True)
    assert validate(directory) == []


def test_progress_is_told_file_by_file(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    adopt(
        write_plain(tmp_path / "plain", {"a.parquet": ROWS, "b.parquet": ROWS}),
        on_file=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 2), (2, 2)]


def test_what_is_no_dataset_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="no directory is there"):
        adopt(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetNotFound, match="no Parquet files"):
        adopt(tmp_path / "empty")
    pieces = {"a.parquet": ROWS, "b.parquet": ROWS.rename_columns(["id", "other"])}
    with pytest.raises(SchemaMismatch, match=r"b\.parquet"):
        adopt(write_plain(tmp_path / "mixed", pieces))
    assert not (tmp_path / "mixed" / "_bigdata_ml").exists()


def test_broken_pages_are_found_and_leave_nothing_behind(tmp_path: Path) -> None:
    directory = Path(write_plain(tmp_path / "plain", {"a.parquet": ROWS, "b.parquet": ROWS}))
    data = bytearray((directory / "b.parquet").read_bytes())
    data[4:40] = bytes(36)
    (directory / "b.parquet").write_bytes(data)
    with pytest.raises(DatasetInvalid, match=r"b\.parquet: cannot be read"):
        adopt(directory)
    assert not (directory / "_bigdata_ml").exists()


def test_files_that_come_while_it_reads_are_noticed(tmp_path: Path) -> None:
    directory = Path(write_plain(tmp_path / "plain", {"a.parquet": ROWS}))
    with pytest.raises(DatasetInvalid, match="while they were read"):
        adopt(directory, on_file=lambda *_: write_plain(directory, {"b.parquet": ROWS}))
    assert not (directory / "_bigdata_ml").exists()


def test_a_killed_adoption_leaves_plain_parquet(tmp_path: Path) -> None:
    directory = Path(write_plain(tmp_path / "plain", {"a.parquet": ROWS}))

    def killed(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adopt(directory, on_file=killed)
    assert Dataset.open(directory).manifest is None
    adopt(directory)
    assert validate(directory) == []


def test_a_dataset_with_a_codec_of_ones_own_is_adopted_as_bytes(tmp_path: Path) -> None:
    write_metadata(tmp_path, dumps(unischema(field("id", Class("numpy", "int64"), (), Object("mine", "Codec")))))
    with pytest.raises(MetadataUnreadable, match="no-use-unischema"):
        adopt(tmp_path)
    assert adopt(tmp_path, use_unischema=False).provenance == {"adopted": {"unischema": None}}
    assert validate(tmp_path) == []
    assert rows_of(Dataset.open(tmp_path)) == [{"id": 1}, {"id": 2}]


def test_arrays_and_images_are_fields_of_the_manifest(petastorms: Path) -> None:
    adopt(petastorms)
    schema = Dataset.open(petastorms).schema
    assert (schema["ragged"].codec, schema["ragged"].shape, schema["ragged"].dtype) == (Codec.NDARRAY, (None, 2), "int16")
    assert (schema["deep"].codec, schema["deep"].dtype, schema["deep"].shape) == (Codec.IMAGE, "uint16", (8, 6))


def test_null_keys_of_directories_are_nulls(tmp_path: Path) -> None:
    pieces = {"year=2013/a.parquet": ROWS, "year=__HIVE_DEFAULT_PARTITION__/b.parquet": ROWS}
    directory = write_plain(tmp_path / "plain", pieces)
    before = rows_of(Dataset.open(directory))
    adopt(directory)
    assert rows_of(Dataset.open(directory)) == before
    assert {row["year"] for row in before} == {2013, None}
    assert validate(directory) == []


def test_a_table_with_a_key_of_another_type_is_unreadable_metadata(tmp_path: Path) -> None:
    directory = Path(write_plain(tmp_path / "plain", {"year=2013/a.parquet": ROWS}))
    adopt(directory)
    manifest = directory / "_bigdata_ml" / "manifest.json"
    table = RowGroups.from_bytes((directory / "_bigdata_ml" / "row_groups.arrow").read_bytes(), url="").table
    changed = RowGroups(table.set_column(0, table.schema.field(0), [["year=MMXIII/a.parquet"] * 5])).to_bytes()
    (directory / "_bigdata_ml" / "row_groups.arrow").write_bytes(changed)
    text = manifest.read_text()
    start = text.index('"checksum": "', text.index('"row_groups"', text.index('"fingerprints"'))) + 13
    written = json.loads(text[:start] + xxhash.xxh3_128_hexdigest(changed) + text[start + 32 :])
    manifest.write_text(json.dumps({**written, "checksum": None}))
    with pytest.raises(MetadataUnreadable, match="key is not of its field's type"):
        Dataset.open(directory)


def test_files_without_rows_are_adopted(tmp_path: Path) -> None:
    directory = Path(write_plain(tmp_path / "plain", {"a.parquet": ROWS, "b.parquet": ROWS.slice(0, 0)}))
    pq.write_table(ROWS.slice(0, 0), directory / "c.parquet")
    assert adopt(directory).rows == 20
    assert validate(directory) == []
