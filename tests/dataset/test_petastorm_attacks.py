import os
import pickle
import struct
from pathlib import Path

import pytest
from petastorm_pickles import CALLED, DOTTED, INDEXES, Class, Object, dumps, field, scalar, unischema, write_metadata

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.petastorm.metadata import read_petastorm_indexes, read_petastorm_schema
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.storage import locate

PROTOCOLS = range(6)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def _refused(tmp_path: Path, data: bytes, match: str) -> None:
    """Petastorm's schema, its indexes and `open` refuse these bytes by name; nothing of them ran."""
    for key, read in ((None, read_petastorm_schema), (INDEXES, read_petastorm_indexes)):
        directory = tmp_path / f"dataset{key is None}"
        write_metadata(directory, data, **({} if key is None else {"key": key}))
        with pytest.raises(MetadataUnreadable, match=match) as raised:
            read(locate(directory))
        assert directory.name in str(raised.value)
        assert len(str(raised.value)) < 1000
    with pytest.raises(MetadataUnreadable, match="use_unischema=False"):
        Dataset.open(tmp_path / "datasetTrue")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["datasetFalse", "datasetTrue"]


@pytest.mark.parametrize(("module", "name"), CALLED)
def test_a_pickle_that_calls_something_is_refused_by_the_names_it_asks_for(tmp_path: Path, module: str, name: str) -> None:
    for protocol in PROTOCOLS:
        call = Object(module, name, f"touch {tmp_path}/canary")
        _refused(tmp_path, dumps(call, protocol), f"asks for '{module} {name}'")
        hidden = unischema(field("id", Class("numpy", "int64"), (), call))
        _refused(tmp_path, dumps(hidden, protocol), "asks for ")


@pytest.mark.parametrize(("module", "name"), DOTTED)
def test_no_attribute_of_an_allowed_name_is_reached(tmp_path: Path, module: str, name: str) -> None:
    for protocol in PROTOCOLS:
        _refused(tmp_path, dumps(Object(module, name), protocol), "asks for ")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_object_whose_reduction_runs_a_command_does_not_run_it(tmp_path: Path, canary: Path, protocol: int) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {canary}",)

    data = pickle.dumps(Evil(), protocol)
    pickle.loads(data)
    assert canary.exists()  # so the pickle is a real one
    canary.unlink()
    _refused(tmp_path, data, "asks for ")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"(S'touch canary'\nios\nsystem\n.", id="INST"),
        pytest.param(b"(cos\nsystem\nS'touch canary'\no.", id="OBJ"),
        pytest.param(b"cdecimal\nDecimal\n(S'1'\no.", id="OBJ of an allowed name"),
        pytest.param(b"(S'1'\nidecimal\nDecimal\n.", id="INST of an allowed name"),
        pytest.param(b"\x80\x04cdecimal\nDecimal\n)}\x92.", id="NEWOBJ_EX"),
        pytest.param(b"Pos\n.", id="PERSID"),
        pytest.param(b"\x80\x02N\x51.", id="BINPERSID"),
        pytest.param(b"\x80\x02\x82\x01.", id="EXT1"),
        pytest.param(b"\x80\x02\x83\x01\x00.", id="EXT2"),
        pytest.param(b"\x80\x02\x84\x01\x00\x00\x00.", id="EXT4"),
        pytest.param(b"\x80\x05\x97.", id="NEXT_BUFFER"),
        pytest.param(b"\x80\x05\x96\x01\x00\x00\x00\x00\x00\x00\x00a.", id="BYTEARRAY8"),
    ],
)
def test_opcodes_that_no_schema_has_are_refused(tmp_path: Path, data: bytes) -> None:
    _refused(tmp_path, data, "asks for |opcode ")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b".", id="an empty stack"),
        pytest.param(b"N", id="no end"),
        pytest.param(b"NN.", id="two values"),
        pytest.param(b"(.", id="a mark"),
        pytest.param(b"(0.", id="a mark popped"),
        pytest.param(b"(p0\n.", id="a mark remembered"),
        pytest.param(b"t.", id="no mark"),
        pytest.param(b"g7\n.", id="a memo that is not there"),
        pytest.param(b"NNs.", id="an item set on None"),
        pytest.param(b"NN\x85b.", id="state set on None"),
        pytest.param(b"NNa.", id="appended to None"),
        pytest.param(b"(Nd.", id="a key without a value"),
        pytest.param(b"\x80\x04K\x01K\x02\x93.", id="a name that is no text"),
        pytest.param(b"K\x01)R.", id="a number called"),
        pytest.param(b"cdecimal\nDecimal\n)R)R.", id="an object called"),
        pytest.param(b"cdecimal\nDecimal\nNR.", id="arguments that are no tuple"),
        pytest.param(b"ccollections\nOrderedDict\n)R}bcollections}b.", id="state and rubbish"),
        pytest.param(b"\xff\xfe\xfd", id="no opcode"),
        pytest.param(b"I" + b"9" * 5000 + b"\n.", id="a number of 5000 digits"),
        pytest.param(b"S'\xff'\n.", id="text that is none"),
        pytest.param(b"N.", id="no schema"),
        pytest.param(b"].", id="a list"),
        pytest.param(b"cdecimal\nDecimal\n(S'1'\ntR.", id="a Decimal"),
    ],
)
def test_broken_pickles_are_refused(tmp_path: Path, data: bytes) -> None:
    _refused(tmp_path, data, "cannot be read|asks for")


def test_every_beginning_of_a_good_schema_is_refused(tmp_path: Path) -> None:
    good = dumps(unischema(field("id", Class("numpy", "int64"), (), scalar("LongType"))))
    for length in range(len(good)):
        write_metadata(tmp_path, good[:length])
        with pytest.raises(MetadataUnreadable, match=r"cannot be read|asks for"):
            read_petastorm_schema(locate(tmp_path))


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.", id="BINBYTES8 of a terabyte"),
        pytest.param(b"\x80\x03B" + struct.pack("<I", (1 << 32) - 1) + b"x.", id="BINBYTES of 4 GiB"),
        pytest.param(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.", id="BINUNICODE8 of a terabyte"),
        pytest.param(b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b"x.", id="LONG4 of 2 GiB"),
        pytest.param(b"\x80\x02\x8b" + struct.pack("<i", -1) + b".", id="LONG4 of less than nothing"),
        pytest.param(b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.", id="FRAME of an exabyte"),
        pytest.param(b"r" + struct.pack("<I", (1 << 32) - 1) + b".", id="a memo far away"),
    ],
)
def test_lengths_that_lie_take_no_memory(tmp_path: Path, bomb: bytes) -> None:
    _refused(tmp_path, bomb, "cannot be read")


def test_a_memo_that_doubles_a_tuple_a_thousand_times_is_not_walked(tmp_path: Path) -> None:
    gets = [b"j" + struct.pack("<I", place) for place in range(1000)]
    doubling = b"\x80\x04)\x94" + b"".join(one + one + b"\x86\x94" for one in gets)
    _refused(tmp_path, doubling + b".", "cannot be read|broken")
    keyed = b"\x80\x04}" + doubling[2:] + b"Ns."
    _refused(tmp_path, keyed, "cannot be read|broken")


def test_a_list_nested_a_hundred_thousand_times_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path, b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "cannot be read")


def test_a_list_that_holds_itself_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path, b"]p0\ng0\na.", "cannot be read")


def test_a_pickle_of_megabytes_is_refused_unread(tmp_path: Path) -> None:
    _refused(tmp_path, b"\x80\x02" + b"]" * (17 << 20), "bytes are more than")


@pytest.mark.parametrize(
    "one",
    [
        field("id", Object("numpy", "dtype", "O8")),
        field("id", Object("numpy", "dtype", "i8,f4")),
        field("id", Object("numpy", "dtype", ["i8"])),
        field("id", Class("numpy", "dtype")),
        field("id", Class("petastorm.codecs", "ScalarCodec")),
        field("id", "int64"),
        field("id", Class("numpy", "int64"), (-1,)),
        field("id", Class("numpy", "int64"), (True,)),
        field("id", Class("numpy", "int64"), (1 << 40,)),
        field("id", Class("numpy", "int64"), (), Class("decimal", "Decimal")),
        field("id", Class("numpy", "int64"), (), Object("petastorm.unischema", "Unischema")),
        field("id", Class("numpy", "int64"), (), Object("petastorm.codecs", "ScalarCodec")),
        field("id", Class("numpy", "int64"), (), Object("petastorm.codecs", "ScalarCodec", state={"_spark_type": "int"})),
        field("id", Class("numpy", "uint8"), (), Object("petastorm.codecs", "CompressedImageCodec", state={"_image_codec": 1})),
        Object("petastorm.unischema", "UnischemaField", "id"),
        Object("collections", "OrderedDict", "id"),
    ],
)
def test_allowed_names_in_places_where_they_mean_nothing_are_refused(tmp_path: Path, one: Object) -> None:
    write_metadata(tmp_path, dumps(unischema(one)))
    with pytest.raises(MetadataUnreadable, match="cannot be read"):
        read_petastorm_schema(locate(tmp_path))


def test_a_codec_of_ones_own_is_refused_with_the_way_to_its_bytes(tmp_path: Path) -> None:
    write_metadata(tmp_path, dumps(unischema(field("id", Class("numpy", "int64"), (), Object("mine.codecs", "Mine")))))
    with pytest.raises(MetadataUnreadable, match=r"'mine\.codecs Mine'.*use_unischema=False.*bytes"):
        Dataset.open(tmp_path)
    assert Dataset.open(tmp_path, use_unischema=False).schema.names == ("id",)
