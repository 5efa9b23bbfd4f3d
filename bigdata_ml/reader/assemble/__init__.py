"""Batches of stored values from row groups."""
