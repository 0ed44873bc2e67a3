"""What accompanies a pose: how far it may be trusted, and what made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue

from fetusmap.files import Document, Number

Probability = Annotated[Number, Field(ge=0, le=1)]

RENAMED = {"kept": "rejected_because"}
"""Field names of earlier versions."""


class _Record(Document):
    """A typed record that keeps, under `notes`, the fields of other programs and versions."""

    notes: dict[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Build a record from plain data; fields that it does not have become notes."""
        known: dict[str, Any] = {}
        notes: dict[str, Any] = dict(plain.get("notes", {}))
        for key, value in plain.items():
            name = RENAMED.get(key, key)
            if name in cls.model_fields and name != "notes":
                known[name] = value
            elif name != "notes":
                notes[name] = value
        return cls(**known, notes=notes)

    def plain(self) -> dict[str, Any]:
        """Plain data, ready for JSON; empty fields are left out."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Quality(_Record):
    """How far a pose may be trusted as a whole.

    Attributes:
        score: probability that there is a fetus, that its mean error is below 5 mm and that its
            sides are right; None where nobody has estimated it.
        fetus: probability that the volume shows a fetus.
        sides: probability that left and right are not exchanged.
        reasons: reasons to doubt the pose, in words; empty where there is none.
    """

    score: Probability | None = None
    fetus: Probability | None = None
    sides: Probability | None = None
    reasons: tuple[str, ...] = ()


class Provenance(_Record):
    """What made a pose.

    Attributes:
        fetusmap: version of the package.
        model: name of the model.
        model_sha256: hash of the model's card, which holds the hashes of its files.
        refine: kind of refinement; "none" without.
        flip_average: whether heatmaps were averaged with those of the mirror image.
        input_sha256: hash of the voxels and of their grid.
        library_sha256: hash of the pose library that refined the pose.
        device: "cpu" or "cuda".
        precision: "bfloat16" or "float32".
        warnings: doubts of the reader and of the estimator, in words.
        changes: what the refinement changed, in words.
        rejected_because: why the refined pose was rejected and the unrefined one kept, in words;
            empty where it was not rejected.
    """

    fetusmap: str = ""
    model: str = ""
    model_sha256: str = ""
    refine: str = "none"
    flip_average: bool | None = None
    input_sha256: str = ""
    library_sha256: str = ""
    device: str = ""
    precision: str = ""
    warnings: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    rejected_because: str = ""
