"""A PostgreSQL of the tests' own, from Debian's package."""

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from configuration import HOST, free_ports
from daemons import Daemon, end, is_running, last_lines, launch

_READY_SECONDS = 60.0
# A server of tests may lose its data when the machine fails; it is then four times as fast.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "listen_addresses": HOST}


@dataclass(frozen=True, kw_only=True, slots=True)
class Postgres:
    """A running server; its one user may do everything."""

    port: int
    user: str
    password: str
    database: str
    daemon: Daemon
    programs: Path
    host: str = HOST

    @property
    def jdbc_url(self) -> str:
        return f"jdbc:postgresql://{self.host}:{self.port}/{self.database}"

    def run_sql(self, text: str) -> str:
        """Run statements by psql; return what it prints, columns with `|` between."""
        command = [self.programs / "psql", "-h", self.host, "-p", str(self.port), "-U", self.user, "-d", self.database]
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", "--file", "-"]
        environment = {**os.environ, "PGPASSWORD": self.password}
        done = subprocess.run([*command, *options], input=text, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout.rstrip("\n")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a new, empty server on 127.0.0.1 and a free port; end it and delete its files afterwards.

    PostgreSQL refuses to run as root: then it runs as the user postgres, or nobody.
    """
    programs = _programs()
    user, as_user = _user()
    # Not in pytest's directory, which only its own user may enter, and whose path is too long for a socket's.
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as place:
        place_password = Path(place, "password")
        place_password.write_text(password := uuid.uuid4().hex)
        for path in (place, place_password):
            shutil.chown(path, user)
        data, log = f"{place}/data", Path(place, "log")
        options = ["-D", data, "-U", "tester", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        initdb = [*as_user, str(programs / "initdb"), *options, f"--pwfile={place_password}"]
        subprocess.run(initdb, check=True, cwd=place, stdout=subprocess.DEVNULL)
        port = free_ports(["postgres"])["postgres"]
        settings = {**_SETTINGS, "port": str(port), "unix_socket_directories": place}
        flags = [part for item in settings.items() for part in ("-c", "=".join(item))]
        daemon = launch(
            "postgres", [*as_user, str(programs / "postgres"), "-D", data, *flags], mark=data, log=log, environment=os.environ
        )
        server = Postgres(port=port, user="tester", password=password, database="postgres", daemon=daemon, programs=programs)
        try:
            _wait(server)
            yield server
        finally:
            end([daemon])


def _wait(server: Postgres) -> None:
    last = time.monotonic() + _READY_SECONDS
    command = [server.programs / "pg_isready", "-q", "-h", server.host, "-p", str(server.port)]
    while subprocess.run(command, check=False).returncode:
        if not is_running(server.daemon) or time.monotonic() > last:
            raise RuntimeError(f"PostgreSQL did not start\n{last_lines(server.daemon.log)}")
        time.sleep(0.1)


def _programs() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    if found is None:
        raise RuntimeError("these tests need PostgreSQL's server: apt-get install postgresql")
    return Path(found).parent


def _user() -> tuple[str, list[str]]:
    """Return who runs the server, and what goes before its commands."""
    if os.geteuid() != 0:
        return getpass.getuser(), []
    names = {one.pw_name for one in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    group = str(pwd.getpwnam(user).pw_gid)
    return user, ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--"]
