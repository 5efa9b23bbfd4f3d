"""Storage clients are optional: each is imported when an URL asks for it."""

import importlib
from typing import Any

from bigdata_ml.errors import StorageUnavailable

__all__ = ["storage_client"]


def storage_client(module: str, *, extra: str, url: str) -> Any:
    """Return the client's module.

    Raises:
        StorageUnavailable: it is not installed; the text names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise StorageUnavailable(f"{url} needs {module}: install the extra {extra!r} of bigdata_ml") from error
