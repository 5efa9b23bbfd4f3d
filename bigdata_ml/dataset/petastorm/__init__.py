"""Petastorm's metadata: read without unpickling, and written."""
