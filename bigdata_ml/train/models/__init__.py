"""Networks, built for a dataset from its schema, vocabularies and statistics; `forward` takes a loader's
batch with the fields that `columns` names."""

from bigdata_ml.dataset import Dataset
from bigdata_ml.train.config import TrainConfig
from bigdata_ml.train.models.first_network import FirstNetwork
from bigdata_ml.train.models.table_network import TableNetwork

__all__ = ["FirstNetwork", "TableNetwork", "build_model"]


def build_model(config: TrainConfig, dataset: Dataset) -> FirstNetwork | TableNetwork:
    """Return the network of `config` for `dataset`, with fresh weights from torch's generator.

    Raises:
        SchemaMismatch: the dataset lacks what the network reads.
    """
    if config.model == "first_network":
        return FirstNetwork.build(config, dataset)
    return TableNetwork.build(config, dataset)
