"""Petastorm's own engine as the reader of row groups."""
