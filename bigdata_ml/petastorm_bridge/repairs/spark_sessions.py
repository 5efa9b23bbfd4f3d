"""Functions that take a Spark session tell its workers of the bridge first."""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from bigdata_ml.petastorm_bridge.on_spark import send_to_workers

# The function, and the place and name of the argument that has a session.
_FUNCTIONS = {
    "build_rowgroup_index": (1, "spark_context"),
    "dataset_as_rdd": (1, "spark_session"),
    "make_spark_converter": (0, "df"),
    "materialize_dataset": (0, "spark"),
}


def mend(module: ModuleType) -> None:
    """Wrap those of the functions that are defined in the module."""
    for name, (place, argument) in _FUNCTIONS.items():
        function = getattr(module, name, None)
        if function is not None and function.__module__ == module.__name__:
            setattr(module, name, _after_sending(function, place, argument))


def _after_sending(function: Callable[..., Any], place: int, argument: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        given = args[place] if len(args) > place else kwargs.get(argument)
        session = getattr(given, "sparkSession", given)  # a DataFrame has one
        if hasattr(session, "sparkContext") or hasattr(session, "addPyFile"):
            send_to_workers(session)
        return function(*args, **kwargs)

    return wrapped
