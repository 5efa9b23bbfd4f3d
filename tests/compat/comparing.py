"""What it means that two values are the same: type, dtype and shape too."""

from typing import Any

import numpy as np
import torch

__all__ = ["assert_same"]


def assert_same(mine: Any, theirs: Any, name: str) -> None:
    if isinstance(theirs, np.ndarray):
        assert isinstance(mine, np.ndarray), name
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape), name
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
    elif isinstance(theirs, torch.Tensor):
        assert isinstance(mine, torch.Tensor), name
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape), name
        assert torch.equal(mine, theirs), name
    else:
        assert type(mine) is type(theirs), name
        # NaN and NaT are those of Petastorm too, and unequal to themselves.
        assert mine == theirs or (mine != mine and theirs != theirs), name
