"""Training of the networks, and of the model that the package ships."""

from fetusmap.train.config import PAPER, TrainingConfig
from fetusmap.train.loop import train
from fetusmap.train.plans import fit_into_memory
from fetusmap.train.product import ProductConfig, Report, train_product, train_single_pass
from fetusmap.train.run_folder import RunFolder
from fetusmap.train.tensorboard import TensorBoard

__all__ = [
    "PAPER",
    "ProductConfig",
    "Report",
    "RunFolder",
    "TensorBoard",
    "TrainingConfig",
    "fit_into_memory",
    "train",
    "train_product",
    "train_single_pass",
]
