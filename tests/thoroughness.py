"""How many examples the tests draw: a few in `make test`, all in `make test-long` (BIGDATA_ML_TESTS=thorough)."""

import os

THOROUGH = os.environ.get("BIGDATA_ML_TESTS") == "thorough"


def examples(thorough: int) -> int:
    """Return how many examples hypothesis draws for a property that deserves `thorough` of them; a fifth, 20 or more."""
    return thorough if THOROUGH else max(20, thorough // 5)
