"""What Petastorm reads through the bridge where the old names differ from the new: filesystems, hive keys, nulls, old schemas."""

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from petastorm_pickles import CALLED, DOTTED, INDEXES, Class, Object, dumps

OLD = Path(__file__).parents[1] / "data/petastorm/upstream"

pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::SyntaxWarning"),
]


@pytest.fixture
def petastorm() -> Any:
    """Petastorm, through the bridge."""
    import bigdata_ml.petastorm_bridge

    bigdata_ml.petastorm_bridge.install()
    import petastorm

    return petastorm


@pytest.fixture
def partitioned(tmp_path: Path) -> Path:
    """Ids 0 … 39 in directories kind=a and kind=b, each with year=2024 and year=2025."""
    ids = iter(np.arange(40).reshape(4, 10))
    for kind in "ab":
        for year in (2024, 2025):
            folder = tmp_path / f"hive/kind={kind}/year={year}"
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"id": next(ids)}), folder / "part.parquet", row_group_size=5)
    return tmp_path / "hive"


def read(petastorm: Any, url: str, **options: Any) -> dict[str, list[Any]]:
    with petastorm.make_batch_reader(url, reader_pool_type="dummy", shuffle_row_groups=False, **options) as reader:
        batches = [batch._asdict() for batch in reader]
    return {name: [value for batch in batches for value in batch[name].tolist()] for name in batches[0]}


def test_hive_keys_become_columns(petastorm: Any, partitioned: Path) -> None:
    rows = read(petastorm, f"file://{partitioned}")
    assert rows["id"] == list(range(40))
    assert rows["kind"] == ["a"] * 20 + ["b"] * 20
    assert rows["year"] == ([2024] * 10 + [2025] * 10) * 2


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ([("kind", "=", "b")], range(20, 40)),
        ([("kind", "=", "b"), ("year", ">", 2024)], range(30, 40)),
        ([[("kind", "in", ["a"]), ("year", "<=", 2024)], [("year", "not in", {2024})]], [*range(20), *range(30, 40)]),
        ([("id", "<", 3)], range(40)),  # as in old pyarrow, filters look at hive keys only
    ],
)
def test_filters_prune_by_hive_keys(petastorm: Any, partitioned: Path, filters: Any, ids: Any) -> None:
    assert read(petastorm, f"file://{partitioned}", filters=filters)["id"] == list(ids)


def test_a_filter_with_an_unknown_operator_is_refused(petastorm: Any, partitioned: Path) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        read(petastorm, f"file://{partitioned}", filters=[("kind", "like", "a")])


def test_directories_of_two_keys_at_one_level_are_refused(petastorm: Any, partitioned: Path) -> None:
    (partitioned / "colour=red").mkdir()
    with pytest.raises(ValueError, match="must all be of one key"):
        read(petastorm, f"file://{partitioned}")


def test_a_filesystem_of_pyarrow_is_taken(petastorm: Any, partitioned: Path) -> None:
    root = pafs.SubTreeFileSystem(str(partitioned.parent), pafs.LocalFileSystem())
    rows = read(petastorm, "file:///hive", filesystem=root)
    assert rows["id"] == list(range(40))


def test_an_url_of_fsspec_is_read(petastorm: Any, partitioned: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(partitioned), "/bridge-test/", recursive=True)
    try:
        assert read(petastorm, "memory://bridge-test/hive")["kind"] == ["a"] * 20 + ["b"] * 20
    finally:
        memory.rm("/bridge-test", recursive=True)


def test_files_may_be_named_one_by_one(petastorm: Any, partitioned: Path) -> None:
    files = [f"file://{path}" for path in sorted(partitioned.rglob("*.parquet"))[:2]]
    assert read(petastorm, files)["id"] == list(range(20))  # type: ignore[arg-type]


def test_a_file_that_was_rewritten_is_read_anew(petastorm: Any, tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    for count in (3, 4):
        pq.write_table(pa.table({"id": np.arange(count)}), path)
        assert read(petastorm, f"file://{path}")["id"] == list(range(count))


def test_text_reaches_a_transform_as_objects_with_none(petastorm: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"word": ["a", None, "c"]}), tmp_path / "words.parquet")
    seen = []

    def look(frame: Any) -> Any:
        seen.append((frame["word"].dtype, frame["word"].tolist()))
        frame["word"] = [str(word) + "!" for word in frame["word"]]
        return frame

    rows = read(petastorm, f"file://{tmp_path}/words.parquet", transform_spec=petastorm.TransformSpec(look))
    assert seen == [(np.dtype(object), ["a", None, "c"])]
    assert rows["word"] == ["a!", "None!", "c!"]


def test_a_transforms_own_assignment_under_a_mask_is_left_to_pandas(petastorm: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1.0, 2.0, 3.0]}), tmp_path / "x.parquet")

    def blank(frame: Any) -> Any:
        frame[frame["x"] > 2] = None
        return frame

    rows = read(petastorm, f"file://{tmp_path}/x.parquet", transform_spec=petastorm.TransformSpec(blank))
    assert rows["x"][:2] == [1.0, 2.0]
    assert np.isnan(rows["x"][2])


@pytest.mark.parametrize("pickler", ["pickle", "dill", "cloudpickle"])
def test_what_petastorm_sends_to_other_processes_pickles_by_name(petastorm: Any, pickler: str) -> None:
    from petastorm.fs_utils import FilesystemResolver

    dumps = {"pickle": pickle.dumps, "dill": _dumps("dill"), "cloudpickle": _dumps("pyspark.cloudpickle")}[pickler]
    resolver = FilesystemResolver("file:///data")
    sent = resolver.filesystem() if pickler == "pickle" else resolver.filesystem_factory()
    received = pickle.loads(dumps(sent))
    assert (received if pickler == "pickle" else received()) is resolver.filesystem()


def _dumps(module: str) -> Any:
    import importlib

    return importlib.import_module(module).dumps


def test_a_schema_pickled_by_python_2_and_an_old_spark_is_read(petastorm: Any) -> None:
    from petastorm.etl.legacy import depickle_legacy_package_name_compatible
    from petastorm.unischema import UnischemaField

    # What pyspark before 3.3 made of a named tuple, in the text protocol of Python 2.
    old = (
        b"cpyspark.serializers\n_restore\n(S'UnischemaField'\n(S'name'\nS'numpy_dtype'\nS'shape'\nS'codec'\nS'nullable'\nt"
        b"(S'id'\ncnumpy\nunicode_\n(tNI00\nttR."
    )
    field = depickle_legacy_package_name_compatible(old)
    assert (type(field), field.name, field.numpy_dtype, field.shape) == (UnischemaField, "id", np.str_, ())


@pytest.mark.parametrize("version", ["0.4.0", "0.5.1", "0.7.0", "0.7.6"])
def test_indexes_that_python_2_pickled_are_read(petastorm: Any, version: str) -> None:
    from petastorm.etl.legacy import depickle_legacy_package_name_compatible

    metadata = pq.read_metadata(OLD / version / "dataset/_common_metadata").metadata
    indexes = depickle_legacy_package_name_compatible(metadata[INDEXES.encode()])
    assert set(indexes["id"].indexed_values) == set(range(100))
    assert indexes["sensor_name"].get_row_group_indexes("test_sensor") == set(range(10))


# A type that fields may have; a call of it gives back what it is given.
REFUSED = [one for one in (*CALLED, *DOTTED) if one != ("numpy", "object_")]


@pytest.mark.parametrize(("module", "name"), REFUSED)
def test_a_schema_that_names_anything_else_is_refused(petastorm: Any, module: str, name: str) -> None:
    from petastorm.etl.legacy import restricted_loads

    for protocol in range(6):
        with pytest.raises(pickle.UnpicklingError, match=r"of which no Petastorm schema|is forbidden"):
            restricted_loads(dumps(Object(module, name, "touch canary"), protocol))


@pytest.mark.parametrize("module", ["pyspark.shell", "petastorm.tools.spark_session_cli", "numpy.f2py.crackfortran"])
def test_a_name_that_is_refused_imports_nothing(petastorm: Any, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from petastorm.etl.legacy import restricted_loads

    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(pickle.UnpicklingError, match="of which no Petastorm schema"):
        restricted_loads(dumps(Class(module, "main")))
    assert module not in sys.modules


@pytest.mark.parametrize("kind", ["memmap", "ndarray", "recarray", "matrix", "chararray", "void", "record", "dtypes.Int64DType"])
def test_a_schema_cannot_have_numpy_open_a_file(petastorm: Any, tmp_path: Path, kind: str) -> None:
    from petastorm.etl.legacy import restricted_loads

    precious = tmp_path / "precious"
    precious.write_text("kept")
    with pytest.raises(pickle.UnpicklingError, match="of which no Petastorm schema"):
        restricted_loads(dumps(Object("numpy", kind, str(precious), "uint8", "w+", 0, (1,))))
    assert precious.read_text() == "kept"


@pytest.mark.parametrize(
    "changed",
    [
        Class("petastorm.unischema", "UnischemaField"),
        Class("petastorm.codecs", "ScalarCodec"),
        Class("copy_reg", "_reconstructor"),
        Class("numpy", "dtype"),
        Object("pyspark.sql.types", "LongType"),
    ],
)
def test_a_schema_cannot_change_what_the_program_shares(petastorm: Any, changed: Class | Object) -> None:
    from petastorm.etl.legacy import restricted_loads

    data = dumps(changed)[:-1] + dumps((None, {"__doc__": "changed"}))[2:-1] + b"b."
    with pytest.raises(pickle.UnpicklingError, match="changes"):
        restricted_loads(data)


def test_a_type_of_numpy_cannot_make_objects_of_bytes(petastorm: Any) -> None:
    from petastorm.etl.legacy import restricted_loads

    fields = {"a": (Class("numpy", "object_"), 0)}
    hidden = Object("numpy", "dtype", "u8", state=(3, "|", None, ("a",), fields, 8, 1, 0))
    with pytest.raises(pickle.UnpicklingError, match="changes"):
        restricted_loads(dumps(hidden))
    for code in ("O", "V8", "O,O", "(2,)i8"):
        with pytest.raises(pickle.UnpicklingError, match=r"numpy\.dtype"):
            restricted_loads(dumps(Object("numpy", "dtype", code)))


def test_only_fields_are_restored_as_an_old_spark_pickled_them(petastorm: Any) -> None:
    from petastorm.etl.legacy import restricted_loads

    with pytest.raises(pickle.UnpicklingError, match="of which no Petastorm schema"):
        restricted_loads(dumps(Object("pyspark.serializers", "_restore", "Other", ("a",), (1,))))


def test_numbers_of_numpy_in_a_schema_are_read(petastorm: Any) -> None:
    from petastorm.etl.legacy import restricted_loads

    day = np.datetime64("2024-02-29", "D")
    held = (np.int64(3), np.int32(4), np.float32(0.5), np.bool_(True), np.str_("word"), np.bytes_(b"raw"), day, np.dtype(">i2"))
    for protocol in (3, 4, 5):  # Petastorm itself refuses the older ones' bytes
        found = restricted_loads(pickle.dumps(held, protocol))
        assert found == held
        assert [type(one) for one in found] == [type(one) for one in held]
