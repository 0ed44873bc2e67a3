"""Training of the networks, and of the model that the package ships."""

from fetusmap.train.config import TrainingConfig
from fetusmap.train.loop import train
from fetusmap.train.product import ProductConfig, train_product
from fetusmap.train.run_folder import RunFolder

__all__ = ["ProductConfig", "RunFolder", "TrainingConfig", "train", "train_product"]
