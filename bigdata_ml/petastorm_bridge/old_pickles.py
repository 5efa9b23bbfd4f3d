"""Reads the schemas and indexes that Petastorm pickled into a dataset: of old versions too, and nothing but those.

Petastorm's own unpickler looks at a name's package only, and `builtins` is among those it trusts: a dataset could have any
function called. Here a name must be one that schemas and indexes are made of.
"""

import collections
import pickle
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["SchemaUnpickler"]

_HARMLESS = {
    "builtins": {
        "bool",
        "bytearray",
        "bytes",
        "complex",
        "dict",
        "float",
        "frozenset",
        "int",
        "list",
        "object",
        "set",
        "slice",
        "str",
        "tuple",
    },
    "collections": {"OrderedDict", "defaultdict"},
    "copyreg": {"_reconstructor"},
    "datetime": {"date", "datetime", "time", "timedelta"},
    "decimal": {"Decimal"},
    "petastorm.unischema": {"Unischema", "UnischemaField"},
}
# Classes of these modules that derive from these.
_BASES = {
    "petastorm.codecs": ("DataframeColumnCodec",),
    "petastorm.etl.rowgroup_indexers": ("RowGroupIndexerBase",),
    "pyspark.sql.types": ("DataType", "StructField"),
}
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_PYTHON_2_NAMES = {"unicode": "str", "long": "int"}


class SchemaUnpickler(pickle.Unpickler):
    """Below Petastorm's own restricted unpickler, which has checked the package by then."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the object of that name.

        Raises:
            pickle.UnpicklingError: no schema or index is made of it.
        """
        module = _PYTHON_2.get(module, module)
        if module == "builtins":
            name = _PYTHON_2_NAMES.get(name, name)
        if (module, name) == ("pyspark.serializers", "_restore"):
            return _restore_namedtuple
        if module == "numpy" or module.startswith("numpy."):
            return _numpy_name(module, name)
        found = super().find_class(module, name)
        if name in _HARMLESS.get(module, ()) or _is_part_of_a_schema(module, found):
            return found
        raise _refused(module, name)


def _is_part_of_a_schema(module: str, found: Any) -> bool:
    names = _BASES.get(module, ())
    bases = tuple(getattr(sys.modules[module], name) for name in names)  # the module was loaded to find the class
    return isinstance(found, type) and bool(bases) and issubclass(found, bases)


def _numpy_name(module: str, name: str) -> Any:
    import numpy

    renamed = {"unicode_": "str_", "string_": "bytes_", "float_": "float64", "complex_": "complex128", "bool": "bool_"}
    if name == "scalar" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        return _numpy_scalar
    found = getattr(numpy, renamed.get(name, name), None)
    if isinstance(found, type) and issubclass(found, numpy.generic | numpy.dtype | numpy.ndarray):
        return found
    raise _refused(module, name)


def _numpy_scalar(dtype: Any, value: bytes) -> Any:
    """Stand for numpy.core.multiarray.scalar, by which numpy pickles its numbers; no objects, which would be pickles again."""
    import numpy

    return numpy.frombuffer(value, numpy.dtype(dtype))[0]


def _refused(module: str, name: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(
        f"the dataset's metadata names {module}.{name}, of which no Petastorm schema or index is made; it was not loaded. "
        "If you trust whoever wrote the dataset, write its metadata anew with petastorm-generate-metadata.py"
    )


def _restore_namedtuple(name: str, fields: Sequence[str], values: Sequence[Any]) -> Any:
    """Stand for pyspark.serializers._restore, gone in Spark 4: before 3.3 named tuples were pickled by it."""
    if name == "UnischemaField":
        from petastorm.unischema import UnischemaField

        return UnischemaField(**dict(zip(fields, values, strict=True)))
    return collections.namedtuple(name, fields)(*values)
