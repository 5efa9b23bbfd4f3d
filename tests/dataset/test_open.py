from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from tiny import SPLITS, make_rows, publish_dataset, write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid, DatasetNotFound, MetadataUnreadable, SchemaMismatch
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.schema import Codec, NullPolicy
from bigdata_ml.storage import Location


class CountingHandler(pafs.FSSpecHandler):
    """The local filesystem behind Arrow's own handler interface, counting the files that are opened to be read."""

    def __init__(self, local: Any) -> None:
        super().__init__(local)
        self.opened: Counter[str] = Counter()

    def open_input_file(self, path: str) -> Any:
        self.opened[Path(path).name] += 1
        return super().open_input_file(path)

    def open_input_stream(self, path: str) -> Any:
        self.opened[Path(path).name] += 1
        return super().open_input_stream(path)


def values(dataset: Dataset, **read: Any) -> list[dict[str, Any]]:
    reader = open_reader(dataset, ReadOptions(shuffle=False, **read), global_batch_size=1)
    return [row for batch in reader for row in batch.to_pylist()]


@pytest.mark.parametrize("files", [1, 4])
def test_opening_costs_two_reads_whatever_the_number_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    fsspec = pytest.importorskip("fsspec")
    publish_dataset(tmp_path / "d", files=files)
    handler = CountingHandler(fsspec.filesystem("file"))
    place = Location(str(tmp_path / "d"), pafs.PyFileSystem(handler), str(tmp_path / "d"))
    monkeypatch.setattr("bigdata_ml.dataset.dataset.locate", lambda url: place)
    assert Dataset.open("d").split("train").rows == SPLITS["train"]
    assert handler.opened == {"manifest.json": 1, "row_groups.arrow": 1}


def test_a_published_dataset_opens_with_its_splits_label_and_quarantine(tiny: Dataset) -> None:
    assert (tiny.rows, tiny.splits, tiny.label) == (71, ("train", "validation", "test"), "label")
    assert {name: tiny.split(name).rows for name in tiny.splits} == SPLITS
    assert tiny.quarantine().to_pylist()[0]["source"] == "/in/bad.png"


def test_a_split_is_a_dataset_of_its_own_fingerprint_and_without_splits(tiny: Dataset) -> None:
    train = tiny.split("train")
    assert train.splits == ()
    assert train.fingerprint == f"{tiny.fingerprint}/train"


def test_an_unknown_split_is_refused_with_those_there_are(tiny: Dataset) -> None:
    with pytest.raises(ValueError, match="no split 'dev'; the splits are train, validation, test"):
        tiny.split("dev")


def test_a_dataset_without_splits_says_to_be_passed_itself(plain: Dataset) -> None:
    with pytest.raises(ValueError, match="it has none: pass the dataset itself"):
        plain.split("train")


def test_plain_parquet_simply_opens(plain: Dataset) -> None:
    assert (plain.rows, len(plain.row_groups), plain.manifest, plain.label, plain.splits) == (23, 7, None, None, ())
    assert plain.quarantine().num_rows == 0
    assert [row["id"] for row in values(plain)] == list(range(23))


def test_plain_columns_with_nulls_get_masks_and_stay_what_they_are(tmp_path: Path) -> None:
    rows = pa.table({"a": [1, None], "b": ["x", None], "c": [1, 2], "d": [[1], None]})
    schema = Dataset.open(write_plain(tmp_path, {"x.parquet": rows})).schema
    policies = {field.name: field.null for field in schema}
    assert policies == {"a": NullPolicy.MASK, "b": NullPolicy.MASK, "c": NullPolicy.REFUSE, "d": NullPolicy.MASK}
    assert schema["d"].codec is Codec.LIST


def test_nulls_in_any_one_file_count_for_all(tmp_path: Path) -> None:
    files = {"a.parquet": pa.table({"x": [1.0]}), "b.parquet": pa.table({"x": pa.array([None], pa.float64())})}
    assert [row["x"] for row in values(Dataset.open(write_plain(tmp_path, files)))] == [1.0, None]


def test_nulls_are_seen_in_columns_whose_names_have_dots(tmp_path: Path) -> None:
    rows = pa.table({"sepal.length": [5.1, None], "sepal": [1, 2], "tags.all": [["a"], ["b", None]]})
    assert values(Dataset.open(write_plain(tmp_path, {"iris.parquet": rows}))) == rows.to_pylist()


def test_split_directories_of_plain_parquet_are_splits(tmp_path: Path) -> None:
    files = {"split=test/x.parquet": pa.table({"a": [3]}), "split=train/x.parquet": pa.table({"a": [1, 2]})}
    dataset = Dataset.open(write_plain(tmp_path, files))
    assert dataset.splits == ("train", "test")
    assert dataset.schema.names == ("a",)
    assert [row["a"] for row in values(dataset.split("train"))] == [1, 2]


def test_hive_directories_become_columns(tmp_path: Path) -> None:
    files = {
        "year=2013/city=New%20York/x.parquet": pa.table({"a": [1]}),
        "year=2014/city=__HIVE_DEFAULT_PARTITION__/x.parquet": pa.table({"a": [2]}),
    }
    dataset = Dataset.open(write_plain(tmp_path, files))
    wanted = [{"a": 1, "year": 2013, "city": "New York"}, {"a": 2, "year": 2014, "city": None}]
    assert values(dataset) == wanted
    assert values(dataset, predicate=pc.field("city").is_null()) == wanted[1:]
    assert values(dataset, predicate=(pc.field("year") == 2013) & (pc.field("a") == 1)) == wanted[:1]


@pytest.mark.parametrize("value", ["--5", "²", "99999999999999999999", "1_000"])
def test_hive_values_that_are_no_64_bit_numbers_are_text(tmp_path: Path, value: str) -> None:
    dataset = Dataset.open(write_plain(tmp_path, {f"k={value}/x.parquet": pa.table({"a": [1]})}))
    assert values(dataset) == [{"a": 1, "k": value}]


def test_a_hive_key_that_the_files_hold_too_is_read_from_the_files(tmp_path: Path) -> None:
    # Polars writes the key into the files as well.
    files = {f"k={key}/x.parquet": pa.table({"a": [key], "k": [key]}) for key in (1, 2)}
    assert values(Dataset.open(write_plain(tmp_path, files))) == [{"a": 1, "k": 1}, {"a": 2, "k": 2}]


def test_hidden_files_are_no_data_but_hive_keys_may_begin_with_an_underscore(tmp_path: Path) -> None:
    rows = pa.table({"a": [1]})
    names = ("x.parquet", "_temporary/x.parquet", ".x.parquet.crc.parquet", "_year=2013/x.parquet")
    assert Dataset.open(write_plain(tmp_path, dict.fromkeys(names, rows))).row_groups.files == [
        "_year=2013/x.parquet",
        "x.parquet",
    ]


def test_files_of_differing_schemas_are_refused_naming_both(tmp_path: Path) -> None:
    files = {"a.parquet": pa.table({"x": [1]}), "b.parquet": pa.table({"x": ["1"]})}
    with pytest.raises(SchemaMismatch, match=r"b\.parquet: column 'x' is string there and int64 in a\.parquet"):
        Dataset.open(write_plain(tmp_path, files))


def test_a_column_that_only_one_file_has_is_refused(tmp_path: Path) -> None:
    files = {"a.parquet": pa.table({"x": [1]}), "b.parquet": pa.table({"x": [1], "y": [1]})}
    with pytest.raises(SchemaMismatch, match=r"column 'y' is int64 there and missing in a\.parquet"):
        Dataset.open(write_plain(tmp_path, files))


@pytest.mark.parametrize(
    "rows",
    [pa.table({"s": [{"a": 1}]}), pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])],
    ids=["struct", "twice"],
)
def test_columns_that_cannot_be_held_are_a_schema_mismatch_naming_the_file(tmp_path: Path, rows: pa.Table) -> None:
    with pytest.raises(SchemaMismatch, match=r"x\.parquet: "):
        Dataset.open(write_plain(tmp_path, {"x.parquet": rows}))


def test_a_truncated_plain_file_is_refused_by_name(tmp_path: Path) -> None:
    write_plain(tmp_path, {"a.parquet": pa.table({"x": [1]})})
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    with pytest.raises(DatasetInvalid, match=r"a\.parquet: not a whole Parquet file"):
        Dataset.open(tmp_path)


def test_a_place_with_nothing_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="nothing is there"):
        Dataset.open(tmp_path / "nope")


def test_a_directory_without_parquet_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(DatasetNotFound, match="no Parquet files there"):
        Dataset.open(tmp_path)


def test_one_file_opens(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    (tmp_path / "notes.md").write_text("not looked at")
    assert Dataset.open(tmp_path / "x.parquet").rows == 1


def test_a_row_group_table_of_another_publication_is_refused(tmp_path: Path) -> None:
    one, other = (publish_dataset(tmp_path / name, splits={"train": make_rows(count)}) for name, count in (("a", 9), ("b", 8)))
    table = Path("_bigdata_ml/row_groups.arrow")
    (Path(one.url) / table).write_bytes((Path(other.url) / table).read_bytes())
    with pytest.raises(MetadataUnreadable, match="the manifest belongs to another row-group table"):
        Dataset.open(one.url)


def test_the_layout_fingerprint_changes_when_files_do_and_only_then(tmp_path: Path) -> None:
    splits = {"train": make_rows(20)}
    one, same, other = (
        publish_dataset(tmp_path / name, splits=splits, files=files) for name, files in zip("abc", (2, 2, 3), strict=True)
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert one.manifest.content == other.manifest.content


def test_the_layout_fingerprint_of_plain_parquet_changes_when_its_row_groups_do(tmp_path: Path) -> None:
    files = {"a.parquet": pa.table({"x": range(8)})}
    prints = {Dataset.open(write_plain(tmp_path, files, row_group_size=size)).fingerprint for size in (4, 4, 8)}
    assert len(prints) == 2


def test_a_delta_table_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(DatasetInvalid, match="Delta table"):
        Dataset.open(tmp_path)


def test_a_manifest_that_the_store_does_not_give_is_named(tmp_path: Path) -> None:
    (tmp_path / "_bigdata_ml/manifest.json").mkdir(parents=True)
    with pytest.raises(MetadataUnreadable, match=r"_bigdata_ml/manifest\.json: the metadata cannot be read"):
        Dataset.open(tmp_path)


def test_an_empty_file_does_not_make_columns_nullable(tmp_path: Path) -> None:
    files = {f"{rows}.parquet": pa.table({"id": pa.array(range(rows), pa.int64())}) for rows in (0, 3)}
    assert not Dataset.open(write_plain(tmp_path, files)).schema["id"].nullable


def test_a_column_of_uuids_that_duckdb_wrote_opens_and_is_read(tmp_path: Path) -> None:
    import duckdb

    duckdb.sql(f"copy (select uuid() as u, range as id from range(10)) to '{tmp_path}/a.parquet' (format parquet)")
    rows = [row for batch in open_reader(Dataset.open(tmp_path), ReadOptions(), global_batch_size=5) for row in batch.to_pylist()]
    assert sorted(row["id"] for row in rows) == list(range(10))
    assert len({row["u"] for row in rows}) == 10
