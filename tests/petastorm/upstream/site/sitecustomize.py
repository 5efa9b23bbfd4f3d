"""Python imports this when it starts with this folder on its path: the bridge for an interpreter that a test starts by itself."""

import bigdata_ml.petastorm_bridge  # noqa: F401
