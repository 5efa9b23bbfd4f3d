"""Images come from folders, globs, archives, SequenceFiles, IDX and CIFAR files with every byte, path and label."""

import gzip
import importlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.failures import refused_by_spark
from bigdata_ml.prepare.sources import archives, cifar, idx, images, packed, sequence_files
from bigdata_ml.prepare.sources.packed import Stretch, packs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from bigdata_ml.prepare.sources import ImageFiles

pytestmark = pytest.mark.spark

# Names that have broken tools: a space, a newline, Unicode, a percent sign, an equals sign, a colon, a bracket.
FILES = {
    "cats/a b.png": b"1" * 100,
    "cats/li\nne.png": b"2" * 3000,
    "dogs/größe 犬.png": b"3" * 10,
    "dogs/deep/50%25 off.png": b"4",
    "key=value/x.png": b"5" * 7,
    "dogs/10:30.png": b"6",
    "dogs/[1].png": b"7",
    "top.png": b"8",
    "cats/empty.png": b"",
}
LABELS = {path: path.split("/")[-2] if "/" in path else None for path in FILES}


def found(source: "ImageFiles") -> dict[str, tuple[str | None, bytes]]:
    rows = source.rows.collect()
    assert len({row["path"] for row in rows}) == len(rows) == source.files
    assert sum(len(row["content"]) for row in rows) == source.bytes
    return {row["path"]: (row["label"], bytes(row["content"])) for row in rows}


def wanted(prefix: str = "", files: dict[str, bytes] = FILES) -> dict[str, tuple[str | None, bytes]]:
    return {f"{prefix}{path}": (LABELS[path], data) for path, data in files.items()}


def write_folder(root: Path, files: dict[str, bytes] = FILES) -> Path:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def write_tar(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with tarfile.open(path, f"w:{path.suffix[1:].removesuffix('tar').replace('tgz', 'gz')}") as archive:
        for name, data in {**files, "._hidden.png": b"hidden", "__MACOSX/x.png": b"hidden"}.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        folder = tarfile.TarInfo("./cats")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return path


def write_zip(path: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.mkdir("cats")
        for name, data in {**FILES, "__MACOSX/x.png": b"hidden"}.items():
            archive.writestr(name, data)
    return path


def test_a_folder_gives_every_file_whatever_its_name(spark: "SparkSession", tmp_path: Path) -> None:
    write_folder(tmp_path / "raw")
    assert found(images(spark, str(tmp_path / "raw"))) == wanted()


def test_sparks_own_reader_finds_the_same_files_and_reads_them_itself(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Hadoop cannot name paths with a colon.
    without = {path: data for path, data in FILES.items() if ":" not in path}
    write_folder(tmp_path / "raw", without)
    by_us = images(spark, str(tmp_path / "raw"))
    # The package's name for the module is the function's. On HDFS this is how few files are read.
    module = importlib.import_module("bigdata_ml.prepare.sources.image_files.folders")
    monkeypatch.setattr(module, "_is_for_spark", lambda *_: True)
    by_spark = images(spark, str(tmp_path / "raw"))
    assert found(by_us) == found(by_spark) == wanted(files=without)
    # Spark's plan names the files that it reads.
    assert (len(by_us.rows.inputFiles()), len(by_spark.rows.inputFiles())) == (0, len(without))
    assert (by_us.packs is None, by_spark.packs is None) == (False, True)


def test_few_files_are_read_by_every_core_and_tiny_ones_many_a_task(spark: "SparkSession", tmp_path: Path) -> None:
    write_folder(tmp_path / "raw", {f"cats/{number}.png": b"x" * 10 for number in range(600)})
    assert images(spark, str(tmp_path / "raw")).rows.rdd.getNumPartitions() == 8


@pytest.mark.parametrize(
    ("glob", "paths"),
    [
        ("cats/*.png", {"a b.png", "li\nne.png", "empty.png"}),
        ("**/*.png", set(FILES)),
        ("dogs/**/*off.png", {"deep/50%25 off.png"}),
        ("*s/?[!m]*.png", {"cats/a b.png", "cats/li\nne.png", "dogs/größe 犬.png", "dogs/10:30.png", "dogs/[1].png"}),
    ],
)
def test_a_glob_gives_the_files_that_match(spark: "SparkSession", tmp_path: Path, glob: str, paths: set[str]) -> None:
    write_folder(tmp_path / "raw")
    assert set(found(images(spark, f"{tmp_path}/raw/{glob}"))) == paths


def test_a_folder_whose_name_looks_like_a_glob_is_a_folder(spark: "SparkSession", tmp_path: Path) -> None:
    write_folder(tmp_path / "raw[1]*", {"cats/1.png": b"1"})
    assert set(found(images(spark, f"{tmp_path}/raw[1]*"))) == {"cats/1.png"}
    with pytest.raises(JobRefused, match=r"no files that match .*\.gif"):
        images(spark, f"{tmp_path}/raw[1]*/cats/*.gif")


@pytest.mark.parametrize("form", ["csv", "lines", "object"])
def test_labels_come_from_a_csv_or_json_file_or_not_at_all(spark: "SparkSession", tmp_path: Path, form: str) -> None:
    write_folder(tmp_path / "raw", {"a.png": b"1", "b/c.png": b"2"})
    texts = {
        "csv": "path,label\na.png,cat\nb/c.png,007\n",
        "lines": '{"path": "a.png", "label": "cat"}\n{"path": "b/c.png", "label": "007"}\n',
        "object": json.dumps({"a.png": "cat", "b/c.png": "007"}, indent=1),
    }
    place = tmp_path / f"labels.{'csv' if form == 'csv' else 'json'}"
    place.write_text(texts[form])
    source = images(spark, str(tmp_path / "raw"), label_from=str(place))
    assert found(source) == {"a.png": ("cat", b"1"), "b/c.png": ("007", b"2")}
    assert {label for label, _ in found(images(spark, str(tmp_path / "raw"), label_from="none")).values()} == {None}


@pytest.mark.parametrize("text", ["[1, 2]", "3", '{"a.png": ["cat"]}', '{"a.png": "cat"', '{"a.png": "cat", "a.png": "dog"}'])
def test_a_json_file_that_labels_nothing_or_twice_is_refused(spark: "SparkSession", tmp_path: Path, text: str) -> None:
    write_folder(tmp_path / "raw", {"a.png": b"1"})
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(JobRefused, match=r"labels\.json"):
        images(spark, str(tmp_path / "raw"), label_from=str(tmp_path / "labels.json"))


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_a_tar_gives_every_file_in_it(spark: "SparkSession", tmp_path: Path, ending: str) -> None:
    path = write_tar(tmp_path / f"all.{ending}")
    assert found(archives(spark, str(path))) == wanted(f"all.{ending}!/")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_gives_every_file_in_it(spark: "SparkSession", tmp_path: Path, compression: int) -> None:
    path = write_zip(tmp_path / "all.zip", compression)
    assert found(archives(spark, str(path))) == wanted("all.zip!/")


def test_a_folder_of_archives_gives_all_of_them(spark: "SparkSession", tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write_tar(tmp_path / "1.tar")
    write_tar(tmp_path / "2.tgz")
    write_zip(tmp_path / "b/3.zip")
    (tmp_path / "notes.txt").write_text("no archive")
    every = {**wanted("1.tar!/"), **wanted("2.tgz!/"), **wanted("b/3.zip!/")}
    assert found(archives(spark, str(tmp_path))) == every


def test_an_archive_is_read_by_many_tasks(spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_FEW_FILES", 5)
    path = write_tar(tmp_path / "all.tar", {f"{number}.png": b"x" * number for number in range(40)})
    assert archives(spark, str(path)).rows.rdd.getNumPartitions() == 8


# At places inside a header, inside a member, and, of the plain tar, between two members.
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("all.tar", 700),
        ("all.tar", 1024),
        ("all.tar", 3000),
        ("all.tgz", 200),
        ("all.zip", 300),
        ("all.zip", -5),
    ],
)
def test_an_archive_that_was_cut_short_is_refused_by_name(spark: "SparkSession", tmp_path: Path, name: str, place: int) -> None:
    path = write_zip(tmp_path / name) if name.endswith("zip") else write_tar(tmp_path / name)
    path.write_bytes(path.read_bytes()[:place])
    with pytest.raises(JobRefused, match=rf"{name}: "), refused_by_spark("source"):
        archives(spark, str(path)).rows.collect()


def unreadable(source: "ImageFiles") -> dict[str, str]:
    rows = source.rows.collect()
    assert len(rows) == source.files
    return {row["path"].rpartition("!/")[2]: row["obstacle"] for row in rows if row["obstacle"] is not None}


def test_a_member_of_a_zip_that_lies_or_overlaps_is_found_and_the_others_are_read(spark: "SparkSession", tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("lies.png", "overlaps.png", "good.png", "outside.png"):
            archive.writestr(name, name.encode() * 500_000)
    data = bytearray(path.read_bytes())
    records = {name: data.rindex(name.encode()) - 46 for name in ("lies.png", "overlaps.png", "outside.png")}
    # In a record of the directory 24 bytes are before the size, 20 before the packed size, 42 before the place.
    data[records["lies.png"] + 24 : records["lies.png"] + 28] = (10).to_bytes(4, "little")
    data[records["overlaps.png"] + 42 : records["overlaps.png"] + 46] = (1).to_bytes(4, "little")
    data[records["outside.png"] + 20 : records["outside.png"] + 24] = (1 << 28).to_bytes(4, "little")
    path.write_bytes(data)
    source = archives(spark, str(path))
    found = unreadable(source)
    assert sorted(found) == ["lies.png", "outside.png", "overlaps.png"]
    assert "unpacks to more bytes, 10 are declared" in found["lies.png"]
    assert "overlaps another member" in found["overlaps.png"]
    assert "beyond the archive" in found["outside.png"]
    assert source.rows.where("obstacle is null").collect()[0]["content"] == b"good.png" * 500_000


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_links_in_a_tar_are_the_files_they_lead_to_and_others_are_found(
    spark: "SparkSession", tmp_path: Path, ending: str
) -> None:
    def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info

    with tarfile.open(tmp_path / f"all.{ending}", f"w:{'gz' if ending.endswith('gz') else ''}") as archive:
        archive.addfile(member("./soft.png", tarfile.SYMTYPE, "a/hard.png"))
        one = member("a/1.png")
        one.size = 4
        archive.addfile(one, io.BytesIO(b"1234"))
        archive.addfile(member("a/hard.png", tarfile.LNKTYPE, "a/1.png"))
        archive.addfile(member("a/gone.png", tarfile.SYMTYPE, "2.png"))
        archive.addfile(member("a/out.png", tarfile.SYMTYPE, "../../etc/passwd"))
        archive.addfile(member("circle.png", tarfile.SYMTYPE, "circle.png"))
        archive.addfile(member("fifo", tarfile.FIFOTYPE))
        archive.addfile(member(os.fsdecode(b"odd\xe9.png")))
    source = archives(spark, str(tmp_path / f"all.{ending}"))
    found = unreadable(source)
    assert sorted(found) == ["a/gone.png", "a/out.png", "circle.png", "fifo", "odd\\xe9.png"]
    assert "link to nothing" in found["a/out.png"]
    rows = source.rows.where("obstacle is null").collect()
    assert {row["path"].rpartition("!/")[2]: bytes(row["content"]) for row in rows} == dict.fromkeys(
        ("a/1.png", "a/hard.png", "soft.png"), b"1234"
    )


def test_what_a_tar_or_an_idx_file_claims_is_bounded(spark: "SparkSession", tmp_path: Path) -> None:
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 4 << 30
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(1024))
    with pytest.raises(JobRefused, match=r"a\.tar: .* 4294967296 bytes"):
        archives(spark, str(tmp_path / "a.tar"))
    sizes = np.array([1 << 22, 1 << 10, 1 << 10], ">u4").tobytes()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + sizes + bytes(1000)))
    with pytest.raises(JobRefused, match=r" 4398046511104 bytes .* 1073741824"):
        idx(spark, str(tmp_path))


def test_links_special_files_and_odd_names_in_a_folder_are_found(spark: "SparkSession", tmp_path: Path) -> None:
    write_folder(tmp_path / "raw", {"a/1.png": b"1", "b/2.png": b"2"})
    os.symlink("not-mounted.png", tmp_path / "raw/a/gone.png")
    os.mkfifo(tmp_path / "raw/a/fifo.png")
    os.symlink("..", tmp_path / "raw/b/loop")
    os.symlink("../a/1.png", tmp_path / "raw/b/linked.png")
    (Path(os.fsdecode(os.fsencode(tmp_path / "raw/b") + b"/odd\xe9.png"))).write_bytes(b"3")
    source = images(spark, str(tmp_path / "raw"))
    assert sorted(unreadable(source)) == ["a/fifo.png", "a/gone.png", "b/odd\\xe9.png"]
    assert source.files == 6
    assert source.passed_over == {"hidden": 0, "unfinished": 0, "linked_again": 1}
    source.refuse_changed()


def test_a_member_packed_in_a_way_that_is_not_read_is_refused(spark: "SparkSession", tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match=r"cats/a b\.png .*method 14"), refused_by_spark("source"):
        archives(spark, str(write_zip(tmp_path / "all.zip", zipfile.ZIP_LZMA)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(JobRefused, match="no archive there"):
        archives(spark, str(tmp_path / "empty"))
    with zipfile.ZipFile(tmp_path / "none.zip", "w"):
        pass
    with pytest.raises(JobRefused, match="hold no files"):
        archives(spark, str(tmp_path / "none.zip"))


def test_sequence_files_give_every_record(spark: "SparkSession", tmp_path: Path) -> None:
    files = {path: data for path, data in FILES.items() if data}
    pairs = spark.sparkContext.parallelize([(path, bytearray(data)) for path, data in files.items()], 3)
    pairs.saveAsNewAPIHadoopFile(
        f"file://{tmp_path}/seq",
        "org.apache.hadoop.mapreduce.lib.output.SequenceFileOutputFormat",
        "org.apache.hadoop.io.Text",
        "org.apache.hadoop.io.BytesWritable",
    )
    assert found(sequence_files(spark, str(tmp_path / "seq"))) == wanted(files=files)
    with pytest.raises(JobRefused, match="nothing is there"):
        sequence_files(spark, str(tmp_path / "nothing"))


def write_idx(path: Path, array: np.ndarray, *, packed: bool = True) -> Path:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def decoded(source: "ImageFiles") -> dict[str, tuple[str | None, Any]]:
    rows = source.rows.collect()
    assert len(rows) == source.files
    return {row["path"]: (row["label"], np.asarray(Image.open(io.BytesIO(row["content"])))) for row in rows}


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_give_their_pictures_and_labels(
    spark: "SparkSession", tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigdata_ml.prepare.sources.image_files.raw_pixels._PICTURES", 7)
    numbers = np.random.default_rng(0)
    pixels, labels = numbers.integers(0, 256, (20, 5, 4), np.uint8), numbers.integers(0, 10, 20).astype(np.uint8)
    ending = ".gz" if packed else ""
    write_idx(tmp_path / f"train-images-idx3-ubyte{ending}", pixels, packed=packed)
    write_idx(tmp_path / f"train-labels-idx1-ubyte{ending}", labels, packed=packed)
    rows = decoded(idx(spark, str(tmp_path)))
    for number in range(20):
        label, picture = rows[f"train-images-idx3-ubyte{ending}#{number}"]
        assert label == str(labels[number])
        assert (picture == pixels[number]).all()


def test_idx_files_that_do_not_belong_together_or_are_cut_are_refused(spark: "SparkSession", tmp_path: Path) -> None:
    images_file = write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((3, 2, 2), np.uint8), packed=False)
    with pytest.raises(JobRefused, match=r"train-labels-idx1-ubyte.*--label-from none"):
        idx(spark, str(images_file))
    assert len(decoded(idx(spark, str(images_file), label_from="none"))) == 3
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(2, np.uint8), packed=False)
    with pytest.raises(JobRefused, match=" 2 labels, train-images-idx3-ubyte 3 "):
        idx(spark, str(images_file))
    images_file.write_bytes(images_file.read_bytes()[:-1])
    with pytest.raises(JobRefused, match=r" 12 bytes .* 11 "):
        idx(spark, str(images_file))
    images_file.write_bytes(b"PNG")
    with pytest.raises(JobRefused, match="begins with"):
        idx(spark, str(images_file))


def test_cifar_files_give_their_pictures_and_the_names_of_their_classes(spark: "SparkSession", tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    pixels, labels = numbers.integers(0, 256, (6, 3, 32, 32), np.uint8), np.array([0, 1, 2, 2, 1, 0], np.uint8)
    ten = np.concatenate([labels[:, None], pixels.reshape(6, -1)], 1)
    (tmp_path / "data_batch_1.bin").write_bytes(ten.tobytes())
    (tmp_path / "batches.meta.txt").write_text("airplane\ncar\nbird\n\n")
    rows = decoded(cifar(spark, str(tmp_path)))
    for number in range(6):
        label, picture = rows[f"data_batch_1.bin#{number}"]
        assert label == ["airplane", "car", "bird"][labels[number]]
        assert (picture == pixels[number].transpose(1, 2, 0)).all()
    hundred = np.concatenate([np.full((6, 1), 9, np.uint8), labels[:, None], pixels.reshape(6, -1)], 1)
    (tmp_path / "fine").mkdir()
    (tmp_path / "fine/train.bin").write_bytes(hundred.tobytes())
    assert [label for label, _ in decoded(cifar(spark, str(tmp_path / "fine"))).values()] == [str(one) for one in labels]
    os.truncate(tmp_path / "data_batch_1.bin", 5000)
    with pytest.raises(JobRefused, match="CIFAR-10's records"):
        cifar(spark, str(tmp_path))


def test_packs_are_cut_by_bytes_and_by_count() -> None:
    stretches = [Stretch("u", str(number), size=size) for number, size in enumerate([5, 5, 1, 20, 1, 1, 1, 1])]
    assert [[int(one.path) for one in pack] for pack in packs(stretches, size=10, count=3)] == [[0, 1], [2], [3], [4, 5, 6], [7]]
