"""Names and URLs on the terminal and on pages: no control characters, no markup, no secrets."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from rich.table import Table
from tiny import contract_of, make_rows, write_part, write_plain

from bigdata_ml.cli import main
from bigdata_ml.dataset import publish, stage
from bigdata_ml.pages import (
    Card,
    Figure,
    Section,
    Series,
    Text,
    bar_chart,
    confusion_matrix,
    line_chart,
    paired_bars,
    paired_histogram,
    render_page,
)
from bigdata_ml.pages import Table as PageTable
from bigdata_ml.shown import printable, redacted, refuse_credentials
from bigdata_ml.storage import locate, locate_by_fsspec
from bigdata_ml.terminal import PlainConsole

EVIL = "x\x1b]0;PWNED\x07\x1b[2J\x9b2J\nfaked: line\u202egnp.exe\udc80\ufffe[/b][bold]"
SECRET = "hunter2"
URLS = [
    f"jdbc:mysql://user:{SECRET}@host:3306/db#T",
    f"jdbc:mysql://user:{SECRET}@@host/db#T",
    f"jdbc:oracle:thin:user/{SECRET}@//host:1521/x#T",
    f"jdbc:sqlserver://host;user=a;password={SECRET};encrypt=true#T",
    f"jdbc:derby:/db;user=app;PWD={SECRET}#T",
    f"jdbc:postgresql://host/db?user=a&password={SECRET}#T",
    f"jdbc:postgresql://host/db?user=a&pass={SECRET}#T",
    f"jdbc:mysql://address=(host=h)(user=u)(password={SECRET})/db#T",
    f"s3://KEY:{SECRET}@bucket/data",
    f"s3a://KEY:sla/sh{SECRET}@bucket/data",
    f"webhdfs://user:{SECRET}@host:9870/data",
]
WITHOUT = [
    "jdbc:postgresql://h:5432,i:5432/db?sslmode=require#T", "jdbc:oracle:thin:@//h:1521/x#T", "hdfs://user@nn:8020/a@b", "hdfs://nn:8020",
    "s3://bucket/password=3/x", "s3://b/a:b@c", "/data/token=3/x.parquet", "hive:SELECT pass FROM t",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_an_url_with_a_secret_is_refused_and_shown_without_it(url: str) -> None:
    assert SECRET not in redacted(f"cannot read {url}, try again")
    with pytest.raises(ValueError, match="must not hold") as refused:
        refuse_credentials(url)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("url", WITHOUT)
def test_an_url_without_a_secret_stays_as_it_is(url: str) -> None:
    refuse_credentials(url)
    assert redacted(url) == url


@pytest.mark.parametrize("find", [locate, locate_by_fsspec])
def test_no_store_is_asked_with_a_secret_in_its_url(find: object) -> None:
    with pytest.raises(ValueError, match=r"\*\*\*@bucket"):
        find(f"s3://KEY:{SECRET}@bucket/data")  # type: ignore[operator]


def test_a_command_prints_no_secret_of_its_url(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("inspect", "head", "validate", "adopt", "gc", "report"):
        assert main([command, f"s3://KEY:{SECRET}@bucket/data"]) == 2
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err


def test_no_file_of_a_dataset_holds_a_secret_of_what_was_told_of_its_source(tmp_path: Path) -> None:
    told = {"source": URLS[0], "references": URLS, "options": {url: {"again": url} for url in URLS}}
    with stage(str(tmp_path / "d")) as staging:
        part = write_part(staging.root, make_rows(3), split="train", name="part-0.parquet")
        publish(staging, [part], contract_of(3, provenance=told), quarantine=[], pages={})
    files = [path for path in (tmp_path / "d").rglob("*") if path.is_file()]
    assert any(b"jdbc:mysql://user:***@host:3306/db#T" in path.read_bytes() for path in files)
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_text_is_shown_in_one_line_of_characters_that_can_be_seen() -> None:
    assert printable(EVIL) == r"x\x1b]0;PWNED\x07\x1b[2J\x9b2J\nfaked: line\u202egnp.exe\udc80\ufffe[/b][bold]"
    assert printable("Köln 5\u00a0€ می\u200cخواهم 👩\u200d🚀") == "Köln 5\u00a0€ می\u200cخواهم 👩\u200d🚀"


def test_a_console_prints_names_as_they_are_spelled() -> None:
    console = PlainConsole()
    console.file = io.StringIO()
    table = Table(EVIL, "[bold]head")
    table.add_row("[/x]", EVIL)
    console.print(EVIL, soft_wrap=True)
    console.print(table)
    said = console.file.getvalue()
    assert said.splitlines()[0] == printable(EVIL)
    assert not set(said) & set("\x1b\x07\x9b\u202e\udc80")
    assert "[/x]" in said


def test_every_command_takes_names_of_any_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = EVIL.replace("\udc80", "").replace("/", "")
    rows = pa.table({name: [1, 2], "[/x]": [name, "b"]})
    root = write_plain(tmp_path / f"d{name}", {f"{name}.parquet": rows})
    codes = [main([command, str(root)]) for command in ("inspect", "head", "validate")]
    assert codes == [0, 0, 0]
    assert main(["plan", str(root), "--global-batch-size", "1"]) == 0
    (root / f"broken{name}.parquet").write_bytes(b"PAR1 no PAR1")
    capsys.readouterr()
    assert main(["validate", str(root)]) in (1, 2)
    said = capsys.readouterr()
    assert len((said.out + said.err).strip().splitlines()) == 1
    assert not set(said.out + said.err) & set("\x1b\x07\x9b\u202e")
    assert main(["head", str(root / "none"), "--json"]) == 2


def test_json_keeps_values_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[2J\nb"
    root = write_plain(tmp_path / "d", {"x.parquet": pa.table({name: [name]})})
    assert main(["head", str(root), "--json"]) == 0
    line = capsys.readouterr().out
    assert json.loads(line) == {name: name}
    assert "\x1b" not in line


def test_a_page_takes_names_of_any_characters() -> None:
    lines = [Series(name=EVIL, x=[0, 1], y=[0, 1]), Series(name="b", x=[0, 1], y=[1, 0])]
    figures = [
        bar_chart([EVIL], [1], title=EVIL, x_label=EVIL),
        line_chart(lines, title=EVIL, x_label=EVIL, y_label=EVIL),
        paired_bars([EVIL], [1], [2], title=EVIL),
        paired_histogram([0, 1, 2], [1, 2], [2, 1], title=EVIL, x_label=EVIL),
        confusion_matrix([[1, 0], [0, 1]], [EVIL, "b"], title=EVIL),
    ]
    blocks = [Text(EVIL), PageTable([EVIL], [[EVIL]], EVIL), *(Figure(one, EVIL) for one in figures)]
    page = render_page(
        title=EVIL, subtitle=EVIL, cards=[Card(EVIL, EVIL, EVIL)], sections=[Section(EVIL, EVIL, blocks)], footer=EVIL
    )
    text = page.decode()
    assert not set(text) & set("\x1b\x07\x9b\u202e\ufffe\ufffd")
    assert r"x\x1b]0;PWNED" in text
