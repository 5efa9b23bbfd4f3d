"""The image job: decode, check, find duplicates, encode, report."""
