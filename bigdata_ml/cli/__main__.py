"""Runs `bigdata-ml` as `python -m bigdata_ml.cli`."""

import sys

from bigdata_ml.cli import main

sys.exit(main())
