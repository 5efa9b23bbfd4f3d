"""Repairs of Petastorm's own faults, which it has on every stack: one small module each, applied when Petastorm's has run.

`docs/petastorm.md` lists them, and those that are left.
"""

import importlib
from types import ModuleType

__all__ = ["REPAIRS", "repair"]

# Petastorm's module: the modules here that mend it, each by a function `mend(module)`.
REPAIRS = {
    "petastorm.etl.dataset_metadata": ("spark_sessions",),
    "petastorm.etl.rowgroup_indexing": ("spark_sessions",),
    "petastorm.local_disk_cache": ("cache_cleanup",),
    "petastorm.predicates": ("predicates_on_batches",),
    "petastorm.py_dict_reader_worker": ("empty_row_groups",),
    "petastorm.reader": ("quiet_exit",),
    "petastorm.spark.spark_dataset_converter": ("spark_sessions",),
    "petastorm.spark_utils": ("spark_sessions",),
    "petastorm.workers_pool.dummy_pool": ("dummy_results",),
    "petastorm.workers_pool.process_pool": ("process_start", "process_results"),
    "petastorm.workers_pool.thread_pool": ("thread_results", "thread_join"),
    "petastorm.workers_pool.ventilator": ("epoch_order", "ventilator_failure"),
}


def repair(name: str, module: ModuleType) -> None:
    """Mend the module of Petastorm that has just run."""
    for mender in REPAIRS.get(name, ()):
        importlib.import_module(f"{__name__}.{mender}").mend(module)
