"""Programs on Petastorm datasets."""
