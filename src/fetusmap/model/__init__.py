"""Model folders: card, weights, pose library."""

from fetusmap.model.model_file import DEFAULT_FOLDER, ModelCard, load_model, save_model

__all__ = [
    "DEFAULT_FOLDER",
    "ModelCard",
    "load_model",
    "save_model",
]
