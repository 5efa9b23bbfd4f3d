"""A worker that inspects images keeps the memory that one took for the next."""

import platform
import subprocess
import sys

import pytest

# Prints the page faults that the same eight blocks of 3 MB take when they are asked for again, in a process of its own.
FAULTS = """
import ctypes, resource, sys
import numpy as np
from bigdata_ml.prepare.images import inspect as images

# PR_SET_THP_DISABLE of prctl(2): where the kernel makes huge pages by itself, one fault would make 512 of these.
assert ctypes.CDLL(None).prctl(41, 1, 0, 0, 0) == 0
if sys.argv[1] == "inspecting":
    list(images._inspect_batches(iter(()), images.Inspection()))

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(3 << 20, np.uint8) for _ in range(8)]
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

for _ in range(3):
    faults()
print(faults())
"""
PAGES = 8 * (3 << 20) // 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_a_workers_pages_are_not_made_anew_for_each_image() -> None:
    # With pages of another size there are fewer of them; without what inspecting asks for they are all made anew.
    assert _faults("inspecting") < PAGES / 50 < _faults("not inspecting")


def _faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)
