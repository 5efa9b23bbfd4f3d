"""Profiles a table and suggests rules for it."""
