"""The only importer of `dataset.petastorm` outside that folder. It imports it when needed, so the folder can be removed."""

from collections.abc import Collection, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bigdata_ml.dataset.layout import COMMON_METADATA, SUMMARY_METADATA
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.schema import Field, Schema
from bigdata_ml.storage import Location

if TYPE_CHECKING:
    from bigdata_ml.dataset.petastorm.schema import PetastormSchema

__all__ = ["NAMES", "count_row_groups", "key_types", "load_name", "petastorm_files", "read_unischema", "with_unischema"]

_FOLDER = "bigdata_ml.dataset.petastorm"
# Module of each public name.
NAMES = {
    "PetastormCodec": "schema",
    "PetastormField": "schema",
    "PetastormIndex": "schema",
    "PetastormSchema": "schema",
    "read_petastorm_indexes": "metadata",
    "read_petastorm_row_groups": "metadata",
    "read_petastorm_schema": "metadata",
}


def load_name(name: str) -> Any:
    """Return a public name of `dataset.petastorm`.

    Raises:
        ImportError: this installation has no such folder.
    """
    if not _is_present():
        raise ImportError(f"{name} needs {_FOLDER}, which this installation of bigdata_ml does not have")
    return getattr(import_module(f"{_FOLDER}.{NAMES[name]}"), name)


def read_unischema(root: Location) -> "PetastormSchema | None":
    """Return the unischema of the dataset at `root`, or None.

    Raises:
        DatasetInvalid: there may be one, and this installation cannot read it.
        MetadataUnreadable, StorageUnavailable: see `read_petastorm_schema`.
    """
    if _is_present():
        from bigdata_ml.dataset.petastorm.metadata import read_petastorm_schema

        return read_petastorm_schema(root)
    for name in (COMMON_METADATA, SUMMARY_METADATA):
        if (root / name).exists():
            raise DatasetInvalid(
                f"{(root / name).url}: may hold Petastorm's schema, and this installation of bigdata_ml lacks {_FOLDER} to read "
                "it; open the dataset with use_unischema=False"
            )
    return None


def with_unischema(bare: Schema, unischema: "PetastormSchema", *, with_nulls: Collection[str]) -> tuple[Field, ...]:
    """Return the fields of Parquet files that Petastorm wrote; see `fields_from_petastorm`."""
    from bigdata_ml.dataset.petastorm.fields import fields_from_petastorm

    return fields_from_petastorm(bare, unischema, with_nulls=with_nulls)


def key_types(unischema: "PetastormSchema | None") -> dict[str, pa.DataType]:
    """Return the types of Hive directory keys that the unischema gives."""
    if unischema is None:
        return {}
    from bigdata_ml.dataset.petastorm.fields import key_type

    types = {field.name: key_type(field) for field in unischema}
    return {name: kind for name, kind in types.items() if kind is not None}


def petastorm_files(root: Location, schema: Schema, table: RowGroups) -> dict[str, bytes]:
    """Return the metadata files that Petastorm reads, by path; empty unless Petastorm is installed."""
    if not _is_present():
        return {}
    from bigdata_ml.dataset.petastorm.writing import common_metadata, petastorm_is_installed

    return {COMMON_METADATA: common_metadata(root, schema, table)} if petastorm_is_installed() else {}


def count_row_groups(root: Location, *, with_schema: bool) -> Mapping[str, int] | None:
    """Return Petastorm's number of row groups by file, or None; `with_schema` verifies that its unischema can be read too.

    Raises:
        MetadataUnreadable, StorageUnavailable: see `read_petastorm_schema`.
    """
    if not _is_present():
        return None
    from bigdata_ml.dataset.petastorm.metadata import read_petastorm_row_groups, read_petastorm_schema

    counts = read_petastorm_row_groups(root)
    if with_schema:
        read_petastorm_schema(root)
    return counts


def _is_present() -> bool:
    return find_spec(_FOLDER) is not None
