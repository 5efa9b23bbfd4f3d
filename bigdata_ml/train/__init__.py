"""Training: recipes, the loop, evaluation, checkpoints."""

from bigdata_ml.train.config import TrainConfig
from bigdata_ml.train.evaluate import evaluate, predict
from bigdata_ml.train.recipes import RECIPES, recipe
from bigdata_ml.train.trainer import train

__all__ = ["RECIPES", "TrainConfig", "evaluate", "predict", "recipe", "train"]
