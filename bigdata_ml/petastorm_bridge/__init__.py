"""Runs the unmodified Petastorm 0.13 on today's pyarrow, numpy, pandas, Spark and torch.

Importing this package before `petastorm` is all there is to do:

    import bigdata_ml.petastorm_bridge
    from petastorm import make_reader

A program that may not be changed runs by `python -m bigdata_ml.petastorm_bridge SCRIPT.py …` (or `-m MODULE …`). Nothing happens
until Petastorm is imported, and nothing is changed but what Petastorm's own modules see; `docs/petastorm.md` tells what that is.
"""

from bigdata_ml.petastorm_bridge.hook import install
from bigdata_ml.petastorm_bridge.on_spark import send_to_workers

__all__ = ["install", "send_to_workers"]

install()
