"""Petastorm's interface, served by this package's reader and loader: change `petastorm` to this module in the imports."""
