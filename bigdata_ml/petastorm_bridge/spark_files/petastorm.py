"""Stands before the package petastorm on Spark's Python workers: imports the bridge, then the package in its place."""

import importlib
import sys

del sys.modules[__name__]
importlib.import_module("bigdata_ml.petastorm_bridge")
importlib.import_module(__name__)
