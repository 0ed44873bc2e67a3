"""Model folders: card, weights, pose library."""

from fetusmap.model.card import CARD_FILE, LIMITS, ModelCard, model_sha256, read_card
from fetusmap.model.model_file import (
    DEFAULT_FOLDER,
    check_body_frame,
    load_model,
    pass_file,
    save_model,
)

__all__ = [
    "CARD_FILE",
    "DEFAULT_FOLDER",
    "LIMITS",
    "ModelCard",
    "check_body_frame",
    "load_model",
    "model_sha256",
    "pass_file",
    "read_card",
    "save_model",
]
