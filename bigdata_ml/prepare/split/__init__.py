"""Train, validation and test: by hash, by group, from paths."""
