"""What `Dataset.open` finds in a directory without a manifest."""
