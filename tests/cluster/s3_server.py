"""An S3 server of the tests' own: Versity's gateway over a directory."""

import os
import shutil
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from configuration import HOST, free_ports
from daemons import Daemon, end, is_running, last_lines, launch

_READY_SECONDS = 60.0
_BUCKET = "datasets"


@dataclass(frozen=True, kw_only=True, slots=True)
class S3:
    """A running server with the bucket `datasets`."""

    endpoint: str
    access_key: str
    secret_key: str
    daemon: Daemon
    region: str = "us-east-1"
    bucket: str = _BUCKET

    @property
    def environment(self) -> dict[str, str]:
        """AWS's own variables, by which clients find the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
        }


@contextmanager
def running_s3(place: Path) -> Iterator[S3]:
    """Start a server on 127.0.0.1 and a free port that keeps its objects under `place`; end it afterwards."""
    program = shutil.which("versitygw")
    if program is None:
        raise RuntimeError("these tests need an S3 server, versitygw: scripts/install-versitygw.sh")
    buckets, notes = place / "buckets", place / "notes"
    port = free_ports(["s3"])["s3"]
    server = {"endpoint": f"http://{HOST}:{port}", "access_key": "tester", "secret_key": uuid.uuid4().hex}
    # A bucket is a directory; what is known of objects lies in files beside it, since not all filesystems have attributes.
    (buckets / _BUCKET).mkdir(parents=True)
    notes.mkdir()
    command = [program, "--port", f"{HOST}:{port}", "--access", server["access_key"], "--secret", server["secret_key"]]
    command += ["--quiet", "posix", "--sidecar", str(notes), str(buckets)]
    daemon = launch("s3", command, mark=str(buckets), log=place / "log", environment=os.environ)
    try:
        _wait(server["endpoint"], daemon)
        yield S3(**server, daemon=daemon)
    finally:
        end([daemon])


def _wait(endpoint: str, daemon: Daemon) -> None:
    last = time.monotonic() + _READY_SECONDS
    while not _answers(endpoint):
        if not is_running(daemon) or time.monotonic() > last:
            raise RuntimeError(f"the S3 server did not start\n{last_lines(daemon.log)}")
        time.sleep(0.1)


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(endpoint, timeout=5).close()
    except urllib.error.HTTPError as refused:  # without a key
        refused.close()
        return True
    except OSError:
        return False
    return True
