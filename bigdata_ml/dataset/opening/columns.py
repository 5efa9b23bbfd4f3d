"""The columns that plain Parquet files have in common: one type a column, whatever it is called in each file."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from bigdata_ml.dataset.parquet.footers import Footer
from bigdata_ml.errors import SchemaMismatch
from bigdata_ml.schema import common_type, plain_type, type_to_text
from bigdata_ml.shown import shown
from bigdata_ml.storage import Location

__all__ = ["Columns", "common_columns", "without_unsupported"]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of all files, in the order of the first one, and the names of those that some file lacks."""

    schema: pa.Schema
    missing: frozenset[str]


def common_columns(root: Location, footers: Sequence[Footer], *, missing_as_null: bool) -> Columns:
    """Return the columns of files; types of one column widen by the table in `schema/widening.py`.

    Args:
        root: where the files are.
        footers: of one file or more.
        missing_as_null: whether a column may be missing in some files; it is null there.

    Raises:
        SchemaMismatch: a column that is missing, or of types that do not widen to one, naming two files and both types.
    """
    by_schema: dict[pa.Schema, Footer] = {}
    for footer in footers:
        by_schema.setdefault(footer.schema, footer)
    known: dict[str, tuple[pa.DataType, Footer]] = {}
    missing: set[str] = set()
    for footer in by_schema.values():
        types_there = {field.name: field.type for field in footer.schema}
        if len(types_there) < len(footer.schema):
            twice = sorted({name_there for name_there in footer.schema.names if footer.schema.names.count(name_there) > 1})
            raise SchemaMismatch(f"{(root / footer.path).url}: there are several columns {', '.join(map(repr, twice))}")
        if known and (lacking := known.keys() ^ types_there.keys()):
            missing |= lacking
            if not missing_as_null:
                raise _missing(root, sorted(lacking)[0], footer, next(iter(by_schema.values())))
        for name, kind in types_there.items():
            before, other = known.get(name, (kind, footer))
            widened = common_type(before, kind)
            if widened is None:
                raise _apart(root, name, footer, _first_apart(by_schema.values(), name, kind) or other)
            known[name] = (widened, other)
    return Columns(pa.schema([pa.field(name, kind) for name, (kind, _) in known.items()]), frozenset(missing))


def without_unsupported(root: Location, columns: pa.Schema) -> pa.Schema:
    """Return the columns that a field can be; a warning names the others."""
    left_out = [column for column in columns if not _is_supported(column.type)]
    if left_out:
        names = ", ".join(f"{one.name!r} ({one.type})" for one in left_out)
        warnings.warn(shown(f"{root.url}: columns that no field can be are left out: {names}"), stacklevel=5)
    return pa.schema([one for one in columns if one not in left_out])


def _is_supported(kind: pa.DataType) -> bool:
    try:
        type_to_text(kind)
    except ValueError:
        return False
    return True


def _first_apart(footers: Iterable[Footer], name: str, kind: pa.DataType) -> Footer | None:
    """Return the first file whose own type of a column does not go with another."""
    for footer in footers:
        place = footer.schema.get_field_index(name)
        if place >= 0 and common_type(footer.schema.field(place).type, kind) is None:
            return footer
    return None


def _apart(root: Location, name: str, footer: Footer, other: Footer) -> SchemaMismatch:
    first, second = (plain_type(each.schema.field(name).type) for each in (footer, other))
    return SchemaMismatch(
        f"{(root / footer.path).url}: column {name!r} is {first} there and {second} in {other.path}; no type holds the values of "
        "both: write the files with one type, or read them apart"
    )


def _missing(root: Location, name: str, footer: Footer, first: Footer) -> SchemaMismatch:
    one, second = (
        plain_type(each.schema.field(name).type) if name in each.schema.names else "missing" for each in (footer, first)
    )
    return SchemaMismatch(
        f"{(root / footer.path).url}: column {name!r} is {one} there and {second} in {first.path}; write the files with the same "
        "columns, or open them with missing_as_null=True (bigdata-ml adopt --missing-as-null)"
    )
