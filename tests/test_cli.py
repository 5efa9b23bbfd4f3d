"""The command line: what it prints and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigdata_ml.cli import main, run_job
from bigdata_ml.dataset import Cleaning, Contract, PartWriter, Vocabulary, WriteOptions, publish, stage
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.split.by_hash import SplitRule
from bigdata_ml.schema import Field, NullPolicy, Schema

SCHEMA = Schema(
    (
        Field(name="price[eur]", type=pa.float64(), null=NullPolicy.NAN),
        Field(name="colour", type=pa.string(), vocabulary=True),
    )
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `bigdata-ml`; returns exit code, standard output and standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            code: Any = main([str(one) for one in arguments])
        except SystemExit as exit_:
            code = exit_.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """7 rows in train and 3 in test."""
    with stage(str(tmp_path / "dataset")) as staging:
        files = []
        for split, first, rows in (("train", 0, 7), ("test", 100, 3)):
            with PartWriter(staging.root, split=split, name="a.parquet", schema=SCHEMA, options=WriteOptions()) as writer:
                prices = [None if index == 1 else float(first + index) for index in range(rows)]
                writer.write(pa.record_batch({"price[eur]": prices, "colour": ["[red]"] * rows}).cast(SCHEMA.to_arrow()))
                files.append(writer.close())
        contract = Contract(
            schema=SCHEMA,
            label="colour",
            vocabularies={"colour": Vocabulary(values=("[red]",), counts=(7,), unknown=False)},
            statistics={},
            split_rule=SplitRule(key=("colour",)).to_json(),
            cleaning=Cleaning(found=10, kept=10, refused={"label_missing": 0}),
            provenance={},
        )
        publish(staging, files, contract, quarantine=(), pages={})
    return tmp_path / "dataset"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    (tmp_path / "plain" / "year=2013").mkdir(parents=True)
    pq.write_table(pa.table({"id": range(4), "data": [b"123"] * 4}), tmp_path / "plain" / "year=2013" / "a.parquet")
    return tmp_path / "plain"


def test_inspect_says_what_a_dataset_holds(run: Run, published: Path) -> None:
    code, out, _ = run("inspect", published)
    assert code == 0
    assert "10 rows in 2 row groups, 2 files" in out
    assert "price[eur]" in out
    assert "cleaning: 10 found, 10 kept; refused: label_missing 0; warnings: none" in out


def test_inspect_says_it_as_json_too(run: Run, published: Path) -> None:
    code, out, _ = run("inspect", published, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["rows"], found["splits"]["train"]["rows"], found["label"]) == (10, 7, "colour")
    assert found["bytes"] == sum(path.stat().st_size for path in published.rglob("*.parquet"))
    assert found["cleaning"] == {"found": 10, "kept": 10, "refused": {"label_missing": 0}, "warned": {}}


def test_files_without_a_column_are_null_there_on_request_and_files_that_are_not_read_are_counted(
    run: Run, tmp_path: Path
) -> None:
    for name, columns in {"a": {"x": [1, 2], "y": [1, 2]}, "b": {"x": [3, 4]}}.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    (tmp_path / "_SUCCESS").touch()
    for command in (["inspect"], ["head"], ["plan", "--global-batch-size", "2"], ["validate"]):
        code, out, err = run(*command, tmp_path)
        assert code == 1
        assert "'y'" in f"{out}{err}"
        code, out, err = run(*command, tmp_path, "--missing-as-null")
        assert (code, err) == (0, "")
        if command == ["inspect"]:
            assert "skipped files: 1 hidden" in out
    code, out, _ = run("head", tmp_path, "--missing-as-null", "--json")
    assert [json.loads(line)["y"] for line in out.splitlines()] == [1, 2, None, None]
    code, out, _ = run("inspect", tmp_path, "--missing-as-null", "--json")
    assert json.loads(out)["passed_over"] == {"hidden": 1}


def test_inspect_says_that_plain_parquet_is_plain(run: Run, plain: Path) -> None:
    code, out, _ = run("inspect", plain)
    assert code == 0
    assert "plain Parquet, no manifest" in out
    assert json.loads(run("inspect", plain, "--json")[1])["cleaning"] is None


def test_head_prints_the_first_rows(run: Run, published: Path) -> None:
    code, out, _ = run("head", published, "--rows", "2", "--split", "train")
    assert code == 0
    assert "price[eur]" in out
    assert "[red]" in out
    assert "null" in out


def test_head_prints_rows_of_the_split_as_json(run: Run, published: Path) -> None:
    code, out, _ = run("head", published, "--split", "test", "--json", "--rows", "50")
    assert code == 0
    assert [json.loads(line)["price[eur]"] for line in out.splitlines()] == [100.0, None, 102.0]


def test_head_prints_as_many_rows_as_asked_for_over_all_splits(run: Run, published: Path) -> None:
    assert len(run("head", published, "--json", "--rows", "8")[1].splitlines()) == 8


def test_head_shows_keys_of_directories_and_the_length_of_bytes(run: Run, plain: Path) -> None:
    code, out, _ = run("head", plain, "--rows", "1", "--json")
    assert code == 0
    assert json.loads(out) == {"id": 0, "data": "<3 bytes>", "year": 2013}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--split", "validation"), "has no split 'validation'; the splits are"),
        (("--rows", "0"), "rows must be 1 or more, got 0"),
    ],
)
def test_head_of_what_is_not_there_is_a_usage_error(run: Run, published: Path, arguments: tuple[str, ...], text: str) -> None:
    code, out, err = run("head", published, *arguments)
    assert (code, out) == (2, "")
    assert text in err


@pytest.mark.parametrize("which", ["published", "plain"])
def test_validate_finds_nothing_wrong(run: Run, request: pytest.FixtureRequest, which: str) -> None:
    code, out, _ = run("validate", request.getfixturevalue(which))
    assert code == 0
    assert "nothing wrong found" in out
    assert run("validate", request.getfixturevalue(which), "--json")[:2] == (0, "")


def test_validate_prints_a_line_for_each_finding(run: Run, published: Path) -> None:
    (published / "split=test" / "a.parquet").unlink()
    (published / "split=train" / "stray.parquet").write_bytes(b"x")
    code, out, _ = run("validate", published)
    assert code == 1
    assert sorted(line.split(": ")[0] for line in out.splitlines()) == ["missing_file", "unlisted_file"]
    code, out, _ = run("validate", published, "--json")
    assert code == 1
    assert {json.loads(line)["code"] for line in out.splitlines()} == {"missing_file", "unlisted_file"}


def test_validate_of_plain_parquet_finds_a_broken_file(run: Run, plain: Path) -> None:
    (plain / "year=2013" / "b.parquet").write_bytes(b"PAR1")
    code, out, _ = run("validate", plain)
    assert code == 1
    assert out.startswith("unreadable_file")


@pytest.mark.parametrize("command", ["inspect", "head", "validate"])
def test_a_dataset_that_is_not_there_is_a_line_and_two(run: Run, tmp_path: Path, command: str) -> None:
    code, out, err = run(command, tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"DatasetNotFound: {tmp_path}/nowhere: nothing is there; check the path, or run a preparation job to make it"
    ]


@pytest.mark.parametrize("command", ["inspect", "head"])
def test_a_broken_manifest_is_a_line_and_one(run: Run, published: Path, command: str) -> None:
    (published / "_bigdata_ml" / "manifest.json").write_text("{")
    code, out, err = run(command, published)
    assert (code, out) == (1, "")
    assert err.startswith("MetadataUnreadable: ")
    assert len(err.splitlines()) == 1


def test_an_unknown_scheme_is_a_usage_error(run: Run) -> None:
    code, _, err = run("inspect", "gopher://host/dataset")
    assert code == 2
    assert err.startswith("error: gopher://host/dataset: the scheme must be one of file, hdfs, webhdfs, s3")


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("inspect",), ("inspect", "a", "--nonsense"), ("head", "a", "--rows", "x"), ()]
)
def test_a_command_that_makes_no_sense_ends_with_two(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 2


def test_recipes_are_listed_with_a_sentence_each(run: Run) -> None:
    code, out, _ = run("recipes")
    assert code == 0
    assert "first_network" in out
    assert "table_network" in out


def test_a_report_on_a_directory_without_runs_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    code, out, err = run("report", tmp_path)
    assert (code, out) == (2, "")
    assert str(tmp_path) in err.replace("\n", "")


def test_a_refused_job_is_a_line_and_two(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(rule: SplitRule) -> None:
        raise JobRefused("no rows [here]")

    assert run_job(SplitRule, refuse, ["--key", "id"]) == 2
    assert capsys.readouterr().err == "JobRefused: no rows [here]\n"


def test_a_file_that_cannot_be_read_is_a_line_and_two(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_job(SplitRule, lambda _: tmp_path.read_bytes(), ["--key", "id"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert str(tmp_path) in err
    assert err.count("\n") == 1


def test_with_the_traceback_asked_for_an_error_shows_where_it_was_found(
    monkeypatch: pytest.MonkeyPatch, run: Run, tmp_path: Path
) -> None:
    monkeypatch.setenv("BIGDATA_ML_TRACEBACK", "1")
    with pytest.raises(Exception, match="nothing is there"):
        run("inspect", tmp_path / "nowhere")


def test_head_of_a_truncated_file_is_a_finding_that_names_it(run: Run, published: Path) -> None:
    path = next((published / "split=train").iterdir())
    path.write_bytes(path.read_bytes()[:40])
    code, _, err = run("head", published)
    assert code == 1
    assert f"DatasetInvalid: {path} row group 0" in err


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """Plain Parquet: 1,000 rows in row groups of 10."""
    (tmp_path / "numbers").mkdir()
    pq.write_table(pa.table({"id": range(1000)}), tmp_path / "numbers/a.parquet", row_group_size=10)
    return tmp_path / "numbers"


def test_plan_says_how_a_dataset_would_be_read(run: Run, numbers: Path) -> None:
    code, out, err = run(
        "plan", numbers, "--global-batch-size", 48, "--world-size", 4, "--window", 160, "--dataloader-workers", 2
    )
    assert (code, err) == (0, "")
    for text in (
        "1,000 in 100 row groups",
        "streams-1, seed 0, epoch 0, 16 streams, window 160 rows",
        "20 on every rank, of 48 rows: 12 per rank",
        "drop: 40 rows dropped",
        "1, 2, 4, 8, 16 read the same global batches; requested: 4",
        "row groups by all ranks; up to",
        "few row groups per stream",
        "effective",
    ):
        assert text in out


@pytest.mark.parametrize(
    ("shuffle", "text"),
    [
        ("groups", "streams-1, row groups shuffled, seed 0, epoch 0, 1 streams, window 0 rows"),
        ("none", "streams-1, not shuffled, 1 streams, window 0 rows"),
    ],
)
def test_plan_says_what_is_shuffled(run: Run, numbers: Path, shuffle: str, text: str) -> None:
    assert text in run("plan", numbers, "--global-batch-size", 48, "--shuffle", shuffle)[1]


def test_plan_says_what_weights_make_of_the_rows(run: Run, numbers: Path) -> None:
    size = ("--global-batch-size", 48)
    assert "499,500 in 100 row groups, by the weights of id" in run("plan", numbers, *size, "--weights", "id")[1]
    assert "1,000 in 100 row groups, by the weights of id" in run("plan", numbers, *size, "--balance", "id")[1]
    assert run("plan", numbers, *size, "--balance", "id", "--weights", "id")[2].startswith("error: give --weights or --balance")


@pytest.mark.parametrize(("remainder", "repeated"), [("drop", 0), ("pad", 8), ("exact", 8)])
def test_plan_says_it_as_json_too(run: Run, numbers: Path, remainder: str, repeated: int) -> None:
    code, out, _ = run("plan", numbers, "--global-batch-size", 48, "--remainder", remainder, "--streams", 4, "--json")
    found = json.loads(out)
    assert (code, found["repeated"], found["world_sizes"], found["rank_batch_size"]) == (0, repeated, [1, 2, 4], 48)
    assert found["mixing"]["held_peak"] * 8 <= found["held_bytes"] <= found["held_bytes_bound"]


def test_a_plan_in_which_no_two_rows_of_a_batch_share_a_group_has_no_finite_mixing(run: Run, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": range(100)}), tmp_path / "a.parquet", row_group_size=1)
    _, out, _ = run("plan", tmp_path, "--global-batch-size", 10, "--json")
    assert json.loads(out)["mixing"]["effective_groups"] is None
    assert "all its rows' effective" in run("plan", tmp_path, "--global-batch-size", 10)[1]


def test_plan_takes_the_train_split_or_the_one_asked_for(run: Run, published: Path) -> None:
    assert "7 in 1 row groups" in run("plan", published, "--global-batch-size", 2)[1]
    assert "3 in 1 row groups" in run("plan", published, "--global-batch-size", 2, "--split", "test")[1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("--global-batch-size", "48", "--world-size", "5"),
            "48 rows cannot be divided among 5 ranks; allowed world sizes are 1, 2",
        ),
        (("--global-batch-size", "48", "--streams", "5"), "streams=5 must divide the global batch"),
        (("--global-batch-size", "2000"), "1000 selected rows make no step of 2000 rows with remainder='drop'"),
        (("--global-batch-size", "0"), "global_batch_size must be at least 1"),
        (("--global-batch-size", "8", "--split", "train"), "has no split 'train'; it has none"),
        (("--global-batch-size", "8", "--epoch", "-1"), "epoch must be 0 or more"),
    ],
)
def test_a_plan_that_makes_no_sense_is_a_line_and_two(run: Run, numbers: Path, arguments: tuple[str, ...], text: str) -> None:
    code, out, err = run("plan", numbers, *arguments)
    assert (code, out) == (2, "")
    assert text in err


def test_adopt_adds_a_manifest_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    pq.write_table(pa.table({"id": range(5)}), tmp_path / "plain" / "a.parquet")
    code, out, _ = run("adopt", tmp_path / "plain")
    assert (code, "5 rows in 1 row groups" in out, "plain Parquet" in out) == (0, True, False)
    assert run("validate", tmp_path / "plain")[0] == 0
    code, _, err = run("adopt", tmp_path / "plain")
    assert (code, "say --replace" in err) == (2, True)
    assert run("adopt", tmp_path / "plain", "--replace")[0] == 0
