"""Run the paper's experiment: its six networks and eight methods, our methods, and other tools."""

from fetusmap.experiment.plan import Experiment
from fetusmap.experiment.profile import NETWORKS, PROFILES, Network, Profile
from fetusmap.experiment.published import published
from fetusmap.experiment.rows import OUR_ROWS, PAPER_ROWS, Row
from fetusmap.experiment.tasks import STAGES, Task

__all__ = [
    "NETWORKS",
    "OUR_ROWS",
    "PAPER_ROWS",
    "PROFILES",
    "STAGES",
    "Experiment",
    "Network",
    "Profile",
    "Row",
    "Task",
    "published",
]
