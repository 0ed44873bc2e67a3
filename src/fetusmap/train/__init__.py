"""Train networks, and make whole models with them."""

from fetusmap.train.cases import CasePool, pool_of_dataset
from fetusmap.train.config import (
    CONFIG_OF_STAGE,
    PAPER,
    PAPER_STEPS,
    CanonicalConfig,
    CoarseConfig,
    GanConfig,
    LandConfig,
    RnnConfig,
    Symmetry,
    TrainingConfig,
    parse_training_config,
)
from fetusmap.train.loop import fabric_for, train
from fetusmap.train.plans import fit_into_memory
from fetusmap.train.product import ProductConfig, Report, train_product, train_single_pass
from fetusmap.train.run_folder import METRICS_FILE, RunFolder
from fetusmap.train.stages import stage_of
from fetusmap.train.tensorboard import TensorBoard

__all__ = [
    "CONFIG_OF_STAGE",
    "METRICS_FILE",
    "PAPER",
    "PAPER_STEPS",
    "CanonicalConfig",
    "CasePool",
    "CoarseConfig",
    "GanConfig",
    "LandConfig",
    "ProductConfig",
    "Report",
    "RnnConfig",
    "RunFolder",
    "Symmetry",
    "TensorBoard",
    "TrainingConfig",
    "fabric_for",
    "fit_into_memory",
    "parse_training_config",
    "pool_of_dataset",
    "stage_of",
    "train",
    "train_product",
    "train_single_pass",
]
