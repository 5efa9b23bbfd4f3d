"""Runs the unmodified Petastorm 0.13 on current pyarrow, numpy, pandas, Spark and torch.

Import this package before `petastorm`:

    import bigdata_ml.petastorm_bridge
    from petastorm import make_reader

To run a program unchanged, use `python -m bigdata_ml.petastorm_bridge SCRIPT.py …` (or `-m MODULE …`). The bridge acts only when
Petastorm is imported, and changes only what Petastorm's own modules see; `docs/petastorm.md` describes it.
"""

from bigdata_ml.petastorm_bridge.hook import install
from bigdata_ml.petastorm_bridge.on_spark import send_to_workers

__all__ = ["install", "send_to_workers"]

install()
