"""What a job learns from train rows: vocabularies, statistics, quantiles, label leaks and selected features."""
