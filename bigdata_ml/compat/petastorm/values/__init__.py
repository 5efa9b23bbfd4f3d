"""Stored columns to the values that Petastorm returns: numbers, arrays, images and NGram samples."""
