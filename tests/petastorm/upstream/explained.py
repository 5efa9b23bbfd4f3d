"""Which of Petastorm's own tests are left out, and which may fail, each with its reason; patterns are those of `fnmatch`."""

# Not run on either stack.
LEFT_OUT = {
    "*/test_tf_*.py": "needs TensorFlow",
    "*/test_reading_legacy_datasets.py": "the wheel lacks the datasets it reads",
}

# Fail through the bridge, because of ...
FAULT_OF_THE_TEST = {}
FAULT_OF_PETASTORM = {}
