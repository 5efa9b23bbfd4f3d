"""A job's options stand in a YAML file as they do on the command line, and a mistake in it is named."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bigdata_ml.cli import run_job
from bigdata_ml.cli.job_file import with_job_file
from bigdata_ml.errors import ResumeMismatch, StorageUnavailable
from bigdata_ml.prepare import TableJob
from bigdata_ml.prepare.tables.rules.yaml_file import read_rules
from bigdata_ml.train.checkpoint import load_checkpoint


@dataclass(frozen=True)
class Inner:
    """Inner.

    Attributes:
        most: a number.
    """

    most: int = 3


@dataclass(frozen=True)
class Job:
    """A job of tests.

    Attributes:
        source: where from.
        drop: several.
        replace: a switch.
        share: a number.
        inner: more.
    """

    source: str
    drop: tuple[str, ...] = ()
    replace: bool = False
    share: float = 0.5
    inner: Inner = field(default_factory=Inner)


def run(tmp_path: Path, text: str, *arguments: str) -> Job:
    place = tmp_path / "job.yaml"
    place.write_text(text)
    jobs: list[Job] = []
    assert run_job(Job, jobs.append, [*arguments, "--config", str(place)]) == 0
    return jobs[0]


def test_options_come_from_the_file_and_flags_win(tmp_path: Path) -> None:
    text = "source: a b\ndrop: [x, 'y: z']\nreplace: true\nshare: 0.25\ninner: {most: 5}\n"
    assert run(tmp_path, text) == Job("a b", ("x", "y: z"), True, 0.25, Inner(5))
    assert run(tmp_path, text, "--source", "c", "--no-replace", "--most=7") == Job("c", ("x", "y: z"), False, 0.25, Inner(7))
    assert run(tmp_path, "source: -1\nmost: 8\nshare:\n") == Job("-1", inner=Inner(8))


def test_both_forms_of_the_flag_are_known(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("source: a")
    jobs: list[Job] = []
    assert run_job(Job, jobs.append, [f"--config={tmp_path}/job.yaml"]) == 0
    assert jobs == [Job("a")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: a", "Job has no option 'sources'; did you mean source?"),
        ("[a, b]", "list"),
        ("", "NoneType"),
        ("source: {a: b}", "option source must be a value or a list, got a mapping"),
        ("inner: 3", "inner must be a mapping of options, got 3"),
        ("source: [", "cannot be read as YAML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "job.yaml").write_text(text)
    assert run_job(Job, lambda _: pytest.fail("it ran"), ["--config", str(tmp_path / "job.yaml")]) == 2
    error = capsys.readouterr().err
    assert said in error.replace("\n", " ")
    assert "job.yaml" in error


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(Job, lambda _: None, ["--config", "/nowhere/job.yaml"]) == 2
    assert run_job(Job, lambda _: None, ["--config"]) == 2
    error = capsys.readouterr().err
    assert "/nowhere/job.yaml: no such file; check --config" in error
    assert "--config names a YAML file of options" in error


@pytest.mark.timeout(60)
def test_fifos_and_devices_in_place_of_a_file_of_options_rules_or_a_checkpoint_are_refused_at_once(tmp_path: Path) -> None:
    for name in ("job.yaml", "checkpoint.pt"):
        os.mkfifo(tmp_path / name)
    for place in (f"{tmp_path}/job.yaml", "/dev/zero"):
        with pytest.raises(StorageUnavailable, match="only regular files are read"):
            with_job_file(["--config", place], TableJob)
        with pytest.raises(StorageUnavailable, match="only regular files are read"):
            read_rules(place)
    with pytest.raises(ResumeMismatch, match="only regular files are read"):
        load_checkpoint(tmp_path)
