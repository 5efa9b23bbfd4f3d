"""`TransformSpec`: changes each decoded row, and the schema accordingly."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from bigdata_ml.compat.petastorm.unischema import Unischema, UnischemaField
from bigdata_ml.shown import shown

__all__ = ["TransformSpec", "edit_field", "transform_schema"]

FieldEdit = tuple[str, Any, tuple[int | None, ...], bool]


def edit_field(name: str, numpy_dtype: Any, shape: tuple[int | None, ...], nullable: bool = False) -> FieldEdit:
    """Return an entry of `TransformSpec(edit_fields=…)`."""
    return name, numpy_dtype, shape, nullable


class TransformSpec:
    """A function on decoded rows, and the changes it makes to their schema.

    Args:
        func: from a dict of one row's values to a dict (`make_reader`), or from a pandas DataFrame to a DataFrame
            (`make_batch_reader`); None changes only the fields.
        edit_fields: (name, numpy dtype, shape, nullable) of the fields it adds or changes.
        removed_fields, selected_fields: names of fields to drop, or of the only fields to keep, in that order; not both.

    Raises:
        ValueError: both `removed_fields` and `selected_fields`.
    """

    def __init__(
        self,
        func: Callable[[Any], Any] | None = None,
        edit_fields: Sequence[FieldEdit] | None = None,
        removed_fields: Sequence[str] | None = None,
        selected_fields: Sequence[str] | None = None,
    ) -> None:
        if removed_fields is not None and selected_fields is not None:
            raise ValueError("give removed_fields or selected_fields, not both")
        self.func = func
        self.edit_fields = list(edit_fields or [])
        self.removed_fields = list(removed_fields or [])
        self.selected_fields = None if selected_fields is None else list(selected_fields)


def transform_schema(schema: Unischema, transform_spec: TransformSpec) -> Unischema:
    """Return the schema of transformed rows."""
    _warn_unknown("removed_fields", transform_spec.removed_fields, set(schema.fields))
    changed = {edit[0] for edit in transform_spec.edit_fields} | set(transform_spec.removed_fields)
    fields = [field for name, field in schema.fields.items() if name not in changed]
    fields += [UnischemaField(name, dtype, shape, None, nullable) for name, dtype, shape, nullable in transform_spec.edit_fields]
    if transform_spec.selected_fields is not None:
        by_name = {field.name: field for field in fields}
        _warn_unknown("selected_fields", transform_spec.selected_fields, set(by_name))
        fields = [by_name[name] for name in transform_spec.selected_fields if name in by_name]
    return Unischema(f"{schema._name}_transformed", fields)


def _warn_unknown(argument: str, names: Sequence[str], known: set[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        text = f"TransformSpec({argument}=…) names fields that do not exist and are ignored: {', '.join(unknown)}"
        warnings.warn(shown(text), stacklevel=3)
