"""Checks of metadata files before they are trusted."""
