"""What the table network takes for unknown."""

import torch

from bigdata_ml.train.models.table_network import TableNetwork


def test_a_masked_whole_number_enters_as_the_mean_as_a_nan_does() -> None:
    torch.manual_seed(0)
    numbers = {"whole": (5.0, 2.0), "float": (0.0, 1.0)}
    network = TableNetwork(categories={}, numbers=numbers, classes=2, hidden=(4,), dropout=0.0, masked=["whole"]).eval()
    whole = {
        "whole": torch.tensor([0, 7]),
        "whole_valid": torch.tensor([False, True]),
        "float": torch.tensor([1.0, float("nan")]),
    }
    found = network(whole)
    network.masked = frozenset()
    wanted = network({"whole": torch.tensor([float("nan"), 7]), "float": whole["float"]})
    assert torch.equal(found, wanted)
    assert not torch.equal(found, network(whole))
