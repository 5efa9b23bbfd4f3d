"""The order of an epoch: which row leaves at which step, on which rank."""
