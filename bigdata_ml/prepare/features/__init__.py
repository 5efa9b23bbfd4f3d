"""What is learned from train rows: vocabularies, statistics, quantiles, leakage."""
