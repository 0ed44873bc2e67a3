"""The paper's experiment: cohort, six networks, eight rows, ours, and the peers."""

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
