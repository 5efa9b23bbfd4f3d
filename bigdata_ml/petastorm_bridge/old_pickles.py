"""Reads the schemas and indexes that Petastorm pickled into a dataset: also those of old versions, and nothing else.

Petastorm's own unpickler looks at a name's package only, and `builtins` is among those it trusts: a dataset could have any
function called. Here a name must be one that schemas and indexes are made of, and no more can be done with it than they do.
"""

import importlib
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

__all__ = ["SchemaUnpickler"]

_HARMLESS = {
    "builtins": {"bool", "bytes", "complex", "float", "int", "object", "set", "str", "tuple"},
    "collections": {"OrderedDict", "defaultdict"},
    "copyreg": {"_reconstructor"},
    "decimal": {"Decimal"},
    "petastorm.unischema": {"Unischema", "UnischemaField"},
}
# Classes of these modules that derive from this one.
_BASES = {
    "petastorm.codecs": "DataframeColumnCodec",
    "petastorm.etl.rowgroup_indexers": "RowGroupIndexerBase",
    "pyspark.sql.types": "DataType",
}
_SET_STATE: Any = pickle._Unpickler.dispatch[pickle.BUILD[0]]
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_PYTHON_2_NAMES = {"unicode": "str", "long": "int"}


class SchemaUnpickler(pickle._Unpickler):
    """Below Petastorm's own restricted unpickler, which has checked the package by then.

    It is the unpickler written in Python, since that in C lets nobody see which object is given a state.
    """

    stack: list[Any]

    def find_class(self, module: str, name: str) -> Any:
        """Return the object of that name; nothing is imported for a name that is refused.

        Raises:
            pickle.UnpicklingError: no schema or index is made of it.
        """
        module = _PYTHON_2.get(module, module)
        if module == "builtins":
            name = _PYTHON_2_NAMES.get(name, name)
        if (module, name) == ("pyspark.serializers", "_restore"):
            return _restore_field
        if module == "numpy" or module.startswith("numpy."):
            return _numpy_name(module, name)
        if name in _HARMLESS.get(module, ()) or _is_part_of_a_schema(module, name):
            return super().find_class(module, name)
        raise _refused(module, name)

    def load_build(self) -> None:
        """Give the object on the stack its state, as the opcode BUILD asks.

        Raises:
            pickle.UnpicklingError: it is a class, function or singleton, which all of the program shares, or numpy's type of
                something else than numbers, text and times, by which any memory could be read as objects.
        """
        import numpy

        built, state = self.stack[-2:]
        if _is_shared(built) or (isinstance(built, numpy.dtype) and not _is_state_of(built, state)):
            raise pickle.UnpicklingError(f"the dataset's metadata changes {built!r}, which no Petastorm schema or index does")
        _SET_STATE(self)

    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: load_build}


def _is_shared(built: Any) -> bool:
    # Most of Spark's types are singletons when they are called; pickle itself makes new ones.
    return callable(built) or getattr(type(built), "_instances", {}).get(type(built)) is built


def _is_part_of_a_schema(module: str, name: str) -> bool:
    if module not in _BASES:
        return False
    here = vars(importlib.import_module(module))
    member = here.get(name)
    return isinstance(member, type) and issubclass(member, here[_BASES[module]])


def _numpy_name(module: str, name: str) -> Any:
    import numpy

    renamed = {"unicode_": "str_", "string_": "bytes_", "float_": "float64", "complex_": "complex128", "bool": "bool_"}
    if name == "scalar" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        return _numpy_scalar
    if (module, name) == ("numpy", "dtype"):
        return _numpy_dtype
    member = getattr(numpy, renamed.get(name, name), None) if module == "numpy" else None
    types = numpy.number | numpy.bool_ | numpy.character | numpy.datetime64 | numpy.object_
    if isinstance(member, type) and issubclass(member, types):
        return member
    raise _refused(module, name)


def _numpy_dtype(code: str, *_: Any) -> Any:
    """Stand for numpy.dtype: a type of numbers, text or times, and a new one each time, for it may be given a state."""
    import numpy

    dtype = numpy.dtype(str(code), copy=True)
    if dtype.kind not in "biufcSUMm" or dtype.subdtype is not None:
        raise _refused("numpy.dtype", repr(code))
    return dtype


def _is_state_of(dtype: Any, state: Any) -> bool:
    """Tell whether the state is the one that numpy writes for such a type, but for byte order and unit of time."""
    _, _, (version, _, *own) = dtype.__reduce__()
    return isinstance(state, tuple) and 3 <= state[0] <= version and list(state[2:8]) == own[:6]


def _numpy_scalar(dtype: Any, value: bytes | str) -> Any:
    """Stand for numpy.core.multiarray.scalar, by which numpy pickles its numbers; no objects, which would be pickles again."""
    import numpy

    # Python 2 had its bytes as text.
    return numpy.frombuffer(value.encode("latin-1") if isinstance(value, str) else value, dtype)[0]


def _refused(module: str, name: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(
        f"the dataset's metadata names {module}.{name}, of which no Petastorm schema or index is made; it was not loaded. "
        "If you trust the author of the dataset, write its metadata again with petastorm-generate-metadata.py"
    )


def _restore_field(name: str, fields: Sequence[str], values: Sequence[Any]) -> Any:
    """Stand for pyspark.serializers._restore, gone in Spark 4: before 3.3 named tuples, here fields, were pickled by it."""
    from petastorm.unischema import UnischemaField

    if name != UnischemaField.__name__:
        raise _refused("pyspark.serializers._restore of", name)
    return UnischemaField(**dict(zip(fields, values, strict=True)))
