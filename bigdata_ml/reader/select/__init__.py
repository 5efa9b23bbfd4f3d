"""Which rows are read: predicates, weights, first rows of sequences."""
