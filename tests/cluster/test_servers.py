"""The other servers: a PostgreSQL that answers SQL and JDBC's driver, an S3 that asks for keys."""

import zipfile
from pathlib import Path

import psutil
import pytest
from broken_connections import broken_connections
from postgres_server import Postgres, running_postgres
from s3_server import S3

from bigdata_ml.storage import locate
from bigdata_ml.storage.exchange import put_new


def test_postgres_answers_sql(postgres: Postgres) -> None:
    postgres.run_sql("create table animals (name text, legs int); insert into animals values ('ant', 6), ('bee', 6), ('cow', 4)")
    assert postgres.run_sql("select legs, count(*) from animals group by legs order by legs") == "4|1\n6|2"


def test_wrong_sql_is_an_error(postgres: Postgres) -> None:
    with pytest.raises(RuntimeError, match='relation "nowhere" does not exist'):
        postgres.run_sql("select * from nowhere")


def test_postgres_does_not_run_as_root_and_listens_on_this_machine_only(postgres: Postgres) -> None:
    process = psutil.Process(postgres.daemon.pid)
    assert process.uids().real != 0
    assert {one.laddr.ip for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_a_postgres_of_a_tests_own_is_gone_afterwards() -> None:
    with running_postgres() as server:
        place = Path(server.daemon.log).parent
        assert server.run_sql("select 1") == "1"
    assert not psutil.pid_exists(server.daemon.pid)
    assert not place.exists()


def test_the_jdbc_driver_is_there(postgres_driver: Path) -> None:
    assert "org/postgresql/Driver.class" in zipfile.ZipFile(postgres_driver).namelist()


def test_s3_knows_who_asks(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    place = locate(f"s3://{s3.bucket}/keys/file")
    place.write_bytes(b"x")
    assert place.read_bytes() == b"x"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(PermissionError, match="permission denied"):
        place.read_bytes()


def test_s3_listens_on_this_machine_only(s3_server: S3) -> None:
    process = psutil.Process(s3_server.daemon.pid)
    assert {one.laddr.ip for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_s3_is_found_by_the_files_of_awss_configuration(s3_server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(f"[profile lab]\nregion = us-east-1\nendpoint_url = {s3_server.endpoint}\n")
    keys = f"aws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
    (tmp_path / "credentials").write_text(f"[lab]\n{keys}")
    for name in s3_server.environment:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    place = locate(f"s3://{s3_server.bucket}/configured/file")
    put_new(place, b"x")
    assert place.read_bytes() == b"x"
    place.delete()
    assert not place.parent.exists()


def test_who_puts_an_object_first_succeeds_also_where_the_answer_is_lost(s3: S3) -> None:
    place = locate(f"s3://{s3.bucket}/first/file")
    with broken_connections(s3.endpoint, at={b"PUT": 1}) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        put_new(place, b"mine")
        assert proxy.broken == 1
    assert place.read_bytes() == b"mine"
    with pytest.raises(FileExistsError):
        put_new(place, b"mine")
