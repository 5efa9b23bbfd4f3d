"""Stands before the package petastorm on Spark's Python workers: imports the bridge, then the package in its place."""

import sys

del sys.modules[__name__]
import petastorm  # noqa: E402, F401

import bigdata_ml.petastorm_bridge  # noqa: E402, F401
