"""Training of the networks, and of the model that the package ships."""

from fetusmap.train.cases import CasePool, pool_of_dataset
from fetusmap.train.config import PAPER, TrainingConfig
from fetusmap.train.loop import fabric_for, train
from fetusmap.train.plans import fit_into_memory
from fetusmap.train.product import ProductConfig, Report, train_product, train_single_pass
from fetusmap.train.run_folder import METRICS_FILE, RunFolder
from fetusmap.train.stages import stage_of
from fetusmap.train.tensorboard import TensorBoard

__all__ = [
    "METRICS_FILE",
    "PAPER",
    "CasePool",
    "ProductConfig",
    "Report",
    "RunFolder",
    "TensorBoard",
    "TrainingConfig",
    "fabric_for",
    "fit_into_memory",
    "pool_of_dataset",
    "stage_of",
    "train",
    "train_product",
    "train_single_pass",
]
