"""Sources that cannot become a dataset are refused, and nothing is left at the destination."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import ImageJob, TableJob, prepare_images, prepare_table
from prepare.pictures import save

pytestmark = pytest.mark.spark

GOOD = "a,y\n" + "".join(f"{index},{index % 2}\n" for index in range(10))


@pytest.fixture
def refused_images(spark: SparkSession, tmp_path: Path) -> Callable[..., str]:
    def refused(source: Path | str, **options: Any) -> str:
        with pytest.raises(JobRefused) as error:
            prepare_images(spark, ImageJob(source=str(source), dataset=f"{tmp_path}/out/dataset", **options))
        return checked_text(error.value, tmp_path)

    return refused


@pytest.fixture
def refused_table(spark: SparkSession, tmp_path: Path) -> Callable[..., str]:
    def refused(source: Path | str, label: str = "y", **options: Any) -> str:
        with pytest.raises(JobRefused) as error:
            prepare_table(spark, TableJob(source=str(source), dataset=f"{tmp_path}/out/dataset", label=label, **options))
        return checked_text(error.value, tmp_path)

    return refused


def checked_text(error: JobRefused, place: Path) -> str:
    """Return the error's text after checking that it is one line and that nothing is left at or beside the destination."""
    assert "\n" not in str(error)
    assert not list((place / "out").glob("*"))
    assert not list((place / "out").glob(".*"))
    return str(error)


def csv(place: Path, text: str, name: str = "t.csv") -> Path:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)
    return place / name


def test_an_unknown_scheme_is_a_wrong_argument(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"file, hdfs, webhdfs, s3.*'gopher'"):
        prepare_images(spark, ImageJob(source="gopher://host/images", dataset=f"{tmp_path}/out"))
    with pytest.raises(ValueError, match="'gopher'"):
        prepare_table(spark, TableJob(source=str(csv(tmp_path, GOOD)), dataset="gopher://host/out", label="y"))


def test_a_missing_path(refused_images: Callable[..., str], refused_table: Callable[..., str], tmp_path: Path) -> None:
    assert "there is no such folder" in refused_images(tmp_path / "nowhere")
    assert "nothing is there" in refused_table(tmp_path / "nowhere.csv")


def test_a_folder_without_files(refused_images: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "images" / "cats").mkdir(parents=True)
    assert "no files there" in refused_images(tmp_path / "images")


def test_a_folder_without_images_says_why_none_is_left(refused_images: Callable[..., str], tmp_path: Path) -> None:
    csv(tmp_path, "hello", "images/cats/a.png")
    csv(tmp_path, "", "images/dogs/b.png")
    assert refused_images(tmp_path / "images").endswith("no image is left; refused were 1 empty, 1 wrong_type")


def test_images_of_one_class(refused_images: Callable[..., str], tmp_path: Path) -> None:
    save(tmp_path / "images" / "cats" / "a.png", 1)
    save(tmp_path / "images" / "cats" / "b.png", 2)
    assert "have one class" in refused_images(tmp_path / "images")


def test_raw_pixels_of_images_of_several_sizes(refused_images: Callable[..., str], tmp_path: Path) -> None:
    save(tmp_path / "images" / "cats" / "a.png", 1)
    save(tmp_path / "images" / "dogs" / "b.png", 2, 5, 6)
    text = refused_images(tmp_path / "images", encoding="raw")
    assert "there are (4, 4) and (5, 6), perhaps others; give --size HEIGHTxWIDTH" in text


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ("file,label\na.png,cat\n", "no column 'path'; a label file has the columns path,label"),
        ("path,class\na.png,cat\n", "no column 'label'"),
        ("path,label\na.png,cat\na.png,dog\n", "'a.png' stands there more than once"),
        ("path,label\na.png,\nb.png,\n", "no image is left; refused were 2 label_missing"),
        ("path,label\na.png,cat\nb.png,cat\n", "have one class"),
    ],
)
def test_an_unusable_label_file(refused_images: Callable[..., str], tmp_path: Path, labels: str, text: str) -> None:
    save(tmp_path / "images" / "a.png", 1)
    save(tmp_path / "images" / "b.png", 2)
    assert text in refused_images(tmp_path / "images", label_from=str(csv(tmp_path, labels)))


def test_a_label_file_is_read_as_its_options_say_and_its_classes_are_limited(
    refused_images: Callable[..., str], tmp_path: Path
) -> None:
    save(tmp_path / "images" / "a.png", 1)
    save(tmp_path / "images" / "b.png", 2)
    file = tmp_path / "labels.csv"
    file.write_bytes("path;label\n'a.png';'K\xf6ln;'\nb.png;Ulm\n".encode("cp1252"))
    options = {"label_from": str(file), "label_separator": ";", "label_quote": "'"}
    text = refused_images(tmp_path / "images", **options)
    assert "labels.csv: byte 21 (0xf6" in text
    assert "cp1252" in text
    assert "--label-encoding NAME" in text
    text = refused_images(tmp_path / "images", **options, label_encoding="cp1252", max_classes=1)
    assert "'label' has 2 classes" in text
    assert "--max-classes allows 1" in text


def test_a_label_of_more_classes_than_are_allowed(refused_table: Callable[..., str], tmp_path: Path) -> None:
    source = csv(tmp_path, "a,y,z\n" + "".join(f"{row},id {row},{row}\n" for row in range(10)))
    text = refused_table(source, max_classes=9)
    assert "'y' has 10 classes" in text
    assert "--max-classes allows 9" in text
    text = refused_table(source, label="z", max_classes=9)
    assert "--label 'z_number=cast(z as double)'" in text


def test_a_missing_label_file(refused_images: Callable[..., str], tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", 1)
    assert "labels.csv: no such file" in refused_images(tmp_path / "images", label_from=f"{tmp_path}/labels.csv")


def test_a_destination_that_exists_stays_as_it_is(spark: SparkSession, tmp_path: Path) -> None:
    there = csv(tmp_path, "mine", "out/mine.txt")
    with pytest.raises(JobRefused, match="exists already"):
        prepare_table(spark, TableJob(source=str(csv(tmp_path, GOOD)), dataset=str(there.parent), label="y"))
    with pytest.raises(JobRefused, match="exists already"):
        prepare_images(spark, ImageJob(source=str(tmp_path), dataset=str(there.parent)))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert there.read_text() == "mine"


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("nope", "'nope'"),
        ("z=nope > 1", "'nope > 1'"),
        ("z=a > > 1", "Syntax error at or near '>'"),
        ("z=raise_error('no')", "Spark stopped, nothing was published: [USER_RAISED_EXCEPTION] no"),
        ("Y=a > 3", "'Y'"),
        ("split=a > 3", "'split'"),
        ("z=cast(null as int)", "the label 'z' is null in all 10"),
        ("z=a > 100", "the label 'z' has one class, False, in all 10 rows"),
    ],
)
def test_an_unusable_label(refused_table: Callable[..., str], tmp_path: Path, label: str, text: str) -> None:
    assert text in refused_table(csv(tmp_path, GOOD), label)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"drop": ("leak:nope",)}, "rule 'leak' drops the unknown column nope"),
        ({"drop": ("leak:y",)}, "rule 'leak' drops the label 'y'"),
        ({"split_key": "nope"}, "--split-key: no column nope; the columns are a, y"),
        ({"categorical": "nope"}, "--categorical: no column nope"),
    ],
)
def test_an_option_with_an_unknown_column(
    refused_table: Callable[..., str], tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    assert text in refused_table(csv(tmp_path, GOOD), **options)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("open.csv", GOOD + '"1,2\n', "line 12: a quote that is opened in this row is never closed"),
        ("zero.csv", GOOD + "\0,1\n", "a zero byte at about byte 44"),
        ("twice.csv", "a,a\n1,2\n", "its columns 1 and 2 have one name, 'a'"),
        ("alike.csv", "a,A\n1,2\n", "'a' and 'A' are one to Spark"),
        ("object.json", '{\n"a":1,"y":0\n}\n', "its objects go over several lines"),
        ("array.json", '[{"a":1,"y":0},\n{"a":2', "line 2: its array of objects is torn"),
        ("bytes.parquet", "PAR1 no table", "no whole PARQUET file"),
        ("nothing.csv", "", "it holds no columns"),
        (
            "words.txt",
            GOOD,
            "its files must be of one format, told by .csv, .tsv, .json, .jsonl, .parquet, .orc; found words.txt",
        ),
    ],
)
def test_a_file_without_a_table(refused_table: Callable[..., str], tmp_path: Path, name: str, content: str, text: str) -> None:
    refusal = refused_table(csv(tmp_path, content, name))
    assert text in refusal
    assert name in refusal


@pytest.mark.parametrize("name", ["README.txt", "more.tsv", "more.json"])
def test_a_directory_of_files_of_several_formats(refused_table: Callable[..., str], tmp_path: Path, name: str) -> None:
    csv(tmp_path, GOOD, "in/a.csv")
    csv(tmp_path, "hello\n", f"in/{name}")
    assert f"its files must be of one format, told by .csv, .tsv, .json, .jsonl, .parquet, .orc; found {min('a.csv', name)}" in (
        refused_table(tmp_path / "in")
    )


def test_directories_with_and_without_keys(refused_table: Callable[..., str], tmp_path: Path) -> None:
    csv(tmp_path, GOOD, "in/year=2013/a.csv")
    csv(tmp_path, GOOD, "in/more/a.csv")
    assert "must either all be key=value or none; 'more' is not, 'year=2013' is" in refused_table(tmp_path / "in")


@pytest.mark.parametrize("name", ["split", "Split", "__row"])
def test_a_column_with_a_name_of_the_job(refused_table: Callable[..., str], tmp_path: Path, name: str) -> None:
    assert f"column '{name}' has a name" in refused_table(csv(tmp_path, GOOD.replace("a", name, 1)))


def test_a_map_is_refused_with_a_way_out(refused_table: Callable[..., str], tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.int32())
    pq.write_table(pa.table({"s": pa.array([[("b", 1)], [("b", 2)]], kind), "y": [0, 1]}), tmp_path / "t.parquet")
    assert "column 's' is a map: say which keys become columns by --map-keys s:KEY,KEY" in refused_table(tmp_path / "t.parquet")


OTHER = "k,v,w\n1,x,1\n2,y,1\n2,z,2\n"


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("a=k", "2 rows of {0} share the key k=2"),
        ("nope=k", "nope is not a column of the source; it has a, y"),
        ("a=nope", "nope is not a column of {0}; it has k, v, w"),
    ],
)
def test_a_join_that_would_multiply_or_has_no_key(
    refused_table: Callable[..., str], tmp_path: Path, keys: str, text: str
) -> None:
    other = csv(tmp_path, OTHER, "other.csv")
    assert text.format(other) in refused_table(csv(tmp_path, GOOD), join=(f"{other}:{keys}",))


def test_joins_that_add_a_name_twice(refused_table: Callable[..., str], tmp_path: Path) -> None:
    other = csv(tmp_path, "k,v\n1,x\n", "other.csv")
    assert "'other' adds other," in (refused_table(csv(tmp_path, GOOD), join=(f"{other}:a=k", f"{other}:y=k")))
    taken = csv(tmp_path, GOOD.replace("a", "other_v", 1), "taken.csv")
    assert "'other' adds other_v," in refused_table(taken, join=(f"{other}:y=k",))


def test_a_join_over_keys_whose_types_cannot_be_compared(refused_table: Callable[..., str], tmp_path: Path) -> None:
    other = csv(tmp_path, "k,v\nx,x\n01,y\nz,z\n", "other.csv")
    table = csv(tmp_path, "a,y\n1.5,0\n2.5,1\n")
    text = refused_table(table, join=(f"{other}:a=k",))
    assert f"join 'other': a is double, k of {other} is string" in text
    assert "--types a=text" in text
