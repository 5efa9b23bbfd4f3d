"""Views that Petastorm's modules import instead of pyarrow, numpy and others with removed names."""

import functools
import importlib
from types import ModuleType
from typing import Any

__all__ = ["View", "view_for"]


class View(ModuleType):
    """A module that defines a few names and takes all others from the real module; it is pickled by name."""

    def __init__(self, name: str, real: ModuleType | None, /, **own: Any) -> None:
        super().__init__(name, f"Petastorm's view of {name}")
        self.__dict__.update(own)
        self.__dict__["_real"] = real

    def __getattr__(self, name: str) -> Any:
        real = self.__dict__["_real"]
        if real is None or (name.startswith("__") and name != "__version__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        value = self.__dict__[name] = getattr(real, name)
        return value

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return _unpickled, (self.__name__,)


def view_for(importer: str, name: str, *, whole_path: bool) -> ModuleType | None:
    """Return the view that `importer`, a Petastorm module, gets for `name`; None for the real module.

    Args:
        importer: the name of the importing module.
        name: the imported dotted name.
        whole_path: `from a.b import c` gives a.b; `import a.b` gives a.
    """
    if (importer, name) in _FOR_ONE_IMPORTER:
        return _for_one_importer(name)
    if name.partition(".")[0] not in _ROOTS or name not in _views():
        return None
    return _views()[name if whole_path else name.partition(".")[0]]


_ROOTS = frozenset({"distutils", "numpy", "pyarrow"})
_FOR_ONE_IMPORTER = frozenset(
    {
        ("petastorm.codecs", "cv2"),
        ("petastorm.etl.legacy", "six.moves"),
        ("petastorm.workers_pool.exec_in_new_process", "dill"),
        ("petastorm.workers_pool.exec_in_new_process", "subprocess"),
    }
)


@functools.cache
def _for_one_importer(name: str) -> View:
    from bigdata_ml.petastorm_bridge import old_pickles, opencv, worker_start

    real = importlib.import_module(name)
    match name:
        case "cv2":
            return View(name, real, imencode=opencv.imencode)
        case "dill":
            return View(name, real, dump=worker_start.dump)
        case "subprocess":
            return View(name, real, Popen=worker_start.start_worker)
        case _:
            unpickling = View("pickle", importlib.import_module("pickle"), Unpickler=old_pickles.SchemaUnpickler)
            return View(name, real, cPickle=unpickling)


def _unpickled(name: str) -> View:
    return _views()[name]


@functools.cache
def _views() -> dict[str, View]:
    import numpy
    import pyarrow
    import pyarrow.parquet

    from bigdata_ml.petastorm_bridge import filesystems, hdfs, loose_version, parquet_dataset, parquet_piece, partitions

    local = filesystems.LocalFileSystem
    old_filesystem = View("pyarrow.filesystem", None, FileSystem=filesystems.FileSystem, LocalFileSystem=local)
    old_hdfs = View("pyarrow.hdfs", None, HadoopFileSystem=hdfs.HadoopFileSystem, connect=hdfs.connect)
    parquet = View(
        "pyarrow.parquet",
        pyarrow.parquet,
        ParquetDataset=parquet_dataset.ParquetDataset,
        ParquetDatasetPiece=parquet_piece.ParquetDatasetPiece,
        ParquetFile=parquet_piece.LazyParquetFile,
        ParquetPartitions=partitions.ParquetPartitions,
        PartitionSet=partitions.PartitionSet,
    )
    arrow = View(
        "pyarrow",
        pyarrow,
        LocalFileSystem=local,
        filesystem=old_filesystem,
        hdfs=old_hdfs,
        localfs=local.get_instance(),
        parquet=parquet,
    )
    old_numpy = View(
        "numpy",
        numpy,
        float=float,
        in1d=lambda values, *others, **options: numpy.isin(numpy.ravel(values), *others, **options),
        string_=numpy.bytes_,
        unicode_=numpy.str_,
    )
    version = View("distutils.version", None, LooseVersion=loose_version.LooseVersion)
    distutils = View("distutils", None, version=version)
    return {view.__name__: view for view in (old_numpy, arrow, parquet, old_filesystem, old_hdfs, distutils, version)}
