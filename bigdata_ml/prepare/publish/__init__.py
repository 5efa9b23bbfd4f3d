"""Writing the dataset: sink, ledger, gate, drift, quality page."""
