"""The settings of a training run, as one frozen value that is written beside its results."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["TrainConfig"]

# Ten times as much, which AdamW may multiply a weight by, must be a number of 32 bits.
_MOST = 1e30


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How a model is trained.

    Attributes:
        model: which network.
        epochs: passes over the train split, 1 or more.
        global_batch_size: rows of one step over all ranks.
        learning_rate: highest rate of AdamW; it falls to zero along a cosine over all steps.
        weight_decay: AdamW's.
        label_smoothing: share of the target spread over all classes, 0 … 1.
        hidden: widths of the network's hidden layers.
        dropout: share of hidden units left out in training, 0 … 1.
        augment: pixels an image is shifted by at most, at random; 0 for none.
        image_size: (height, width) that images are resized to; None keeps their own.
        num_workers: decoding threads.
        price_per_device_hour: what an hour of the device costs, for the report.
        currency: of that price.
    """

    model: Literal["first_network", "table_network"]
    epochs: int
    global_batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.0
    augment: int = 0
    image_size: tuple[int, int] | None = None
    num_workers: int = 1
    price_per_device_hour: float = 0.10
    currency: str = "USD"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.global_batch_size < 1:
            raise ValueError(f"epochs and global_batch_size must be 1 or more, got {self.epochs} and {self.global_batch_size}")
        if not 0 < self.learning_rate <= _MOST or not 0 <= self.weight_decay <= _MOST:
            raise ValueError(
                f"learning_rate must be positive and weight_decay not negative, both at most {_MOST:g}, "
                f"got {self.learning_rate}, {self.weight_decay}"
            )
        if not 0 <= self.dropout < 1 or not 0 <= self.label_smoothing < 1:
            raise ValueError(f"dropout and label_smoothing must lie in [0, 1), got {self.dropout} and {self.label_smoothing}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)
