"""Publishing a dataset: staging, versions, claims, garbage, adoption."""
