"""Stored values to numpy arrays."""
