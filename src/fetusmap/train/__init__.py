"""Training of the networks."""

from fetusmap.train.config import TrainingConfig
from fetusmap.train.loop import train
from fetusmap.train.run_folder import RunFolder

__all__ = ["RunFolder", "TrainingConfig", "train"]
