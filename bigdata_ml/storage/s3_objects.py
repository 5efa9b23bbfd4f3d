"""What pyarrow cannot do on S3, by botocore: put an object only if none is there, and delete without leaving a marker.

pyarrow 26 sends no `If-None-Match`, and after a deletion it puts an empty object where the directory was.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bigdata_ml.storage.client import OnePerProcess, storage_client

__all__ = ["aws_variables", "create_object", "delete_objects"]

# S3's limit of one request.
_AT_ONCE = 1000
_TOKEN = "bigdata-ml-put"
_ERRORS = {
    "AccessDenied": PermissionError,
    "InvalidAccessKeyId": PermissionError,
    "NoSuchBucket": FileNotFoundError,
    "PreconditionFailed": FileExistsError,
    "SignatureDoesNotMatch": PermissionError,
}


def create_object(path: str, data: bytes) -> None:
    """Put an object unless one of that name is there: of several writers exactly one succeeds.

    Raises:
        FileExistsError: one is there.
        OSError: S3 does not answer, or does not take it.
        StorageUnavailable: botocore is not installed.
    """
    client, (bucket, key), token = _client_for(path), _parts(path), uuid.uuid4().hex
    try:
        with _botocore_errors(path):
            client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", Metadata={_TOKEN: token})
    except FileExistsError:
        # Where an answer is lost botocore asks again, and finds what it has put itself.
        with _botocore_errors(path):
            head = client.head_object(Bucket=bucket, Key=key)
        if head["Metadata"].get(_TOKEN) != token:
            raise


def delete_objects(paths: Sequence[str]) -> None:
    """Delete objects of one bucket; of those that are not there nothing is said.

    Raises:
        OSError: S3 does not answer, or does not delete one.
        StorageUnavailable: botocore is not installed.
    """
    for first in range(0, len(paths), _AT_ONCE):
        some = paths[first : first + _AT_ONCE]
        bucket = _parts(some[0])[0]
        with _botocore_errors(some[0]):
            wanted = {"Objects": [{"Key": _parts(path)[1]} for path in some], "Quiet": True}
            failed = _client_for(some[0]).delete_objects(Bucket=bucket, Delete=wanted).get("Errors")
        if failed:
            raise _os_error(failed[0].get("Code", ""), f"{bucket}/{failed[0].get('Key')}: {failed[0].get('Message')}")


def aws_variables() -> tuple[tuple[str, str], ...]:
    """Return AWS's variables of this process, which say who asks whom."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))


def _client_for(path: str) -> Any:
    session = storage_client("botocore.session", extra="s3", url=f"s3://{path}")
    return _objects_client(session, aws_variables())


@OnePerProcess
def _objects_client(session: Any, _variables: tuple[tuple[str, str], ...]) -> Any:
    # Without a region Amazon's oldest, as pyarrow takes it; a server of one's own asks for none.
    made = session.get_session()
    return made.create_client("s3", region_name=made.get_config_variable("region") or "us-east-1")


def _parts(path: str) -> tuple[str, str]:
    bucket, _, key = path.partition("/")
    return bucket, key


@contextmanager
def _botocore_errors(path: str) -> Iterator[None]:
    """Raise what botocore raises as the OSErrors that callers expect."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        raise _os_error(str(details.get("Code")), f"{path}: {error}") from error
    except BotoCoreError as error:
        raise ConnectionError(f"{path}: {error}") from error


def _os_error(code: str, text: str) -> OSError:
    return _ERRORS.get(code, ConnectionError)(text)
