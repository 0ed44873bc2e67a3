"""Typed records that accompany a pose: its quality, and its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, PlainSerializer, ValidationError

from fetusmap.files import Document, Number
from fetusmap.types import FrozenMapping

Probability = Annotated[Number, Field(ge=0, le=1)]
Notes = Annotated[
    Mapping[str, JsonValue], AfterValidator(FrozenMapping), PlainSerializer(dict, dict[str, Any])
]

Review = Literal["machine", "accepted", "moved", "placed", "absent"]
"""What a person did to a landmark: nothing; confirmed its position; moved it; placed one that was
missing; or stated that the volume does not show it."""

MAX_CORRECT_ERROR_MM = 5.0
"""A landmark, or the mean of a case, counts as correct below this error. The confidence of a
landmark is the probability that it is correct."""

NO_FETUS = "no fetus in view"
"""The reason of `Quality` that a volume shows no fetus, so that its pose means nothing."""

RENAMED_FIELDS = {"kept": "rejected_because"}
"""New name of each field that an earlier version wrote under another name."""


class _Record(Document):
    """Base of the records. The fields of other programs are kept under `notes`.

    Attributes:
        notes: further facts, by name.
    """

    notes: Notes = Field(default_factory=lambda: FrozenMapping({}))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Build a record from the plain data of any program or version; nothing is refused.

        Unknown fields become notes, as in `with_notes`, and so do fields with a value of the wrong
        type.
        """
        ordered = cls.with_notes(plain)
        notes = ordered.pop("notes")
        misfits = {key: value for key, value in ordered.items() if not cls._accepts(key, value)}
        known = {key: value for key, value in ordered.items() if key not in misfits}
        return cls(**known, notes={**notes, **misfits})

    @classmethod
    def with_notes(cls, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plain data of this record; fields that the record does not have become notes.

        Renamed fields get their present names, and a value of null counts as absent.
        """
        given = plain.get("notes") or {}
        known: dict[str, Any] = {}
        notes: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {"notes": given}
        for key, value in plain.items():
            name = RENAMED_FIELDS.get(key, key)
            if name not in cls.model_fields:
                notes[key] = value
            elif name != "notes" and value is not None:
                known[name] = value
        return {**known, "notes": notes}

    @classmethod
    def _accepts(cls, name: str, value: object) -> bool:
        try:
            cls.model_validate({name: value})
        except ValidationError:
            return False
        return True

    def plain(self) -> dict[str, Any]:
        """Return the plain data, ready for JSON; fields with their default value are left out."""
        return self.model_dump(mode="json", exclude_defaults=True)


class LengthInterval(Document):
    """How wide the interval of a measured length is; `fit_length_interval` fits it.

    Attributes:
        coverage: share of cases in which the interval should contain the true length.
        scale: half width of the interval, divided by the standard deviation that the confidences of
            the two ends predict, see `length_sd_mm`.
        cases: number of held-out cases that it was fitted on.
    """

    coverage: Probability
    scale: Annotated[Number, Field(ge=0)]
    cases: Annotated[int, Field(ge=1)]


class Quality(_Record):
    """Estimated quality of a pose as a whole. A probability of None was not estimated.

    Attributes:
        score: probability that the volume shows a fetus, that the mean error of the pose is below
            5 mm, and that left and right are not exchanged.
        fetus: probability that the volume shows a fetus.
        sides: probability that left and right are not exchanged.
        reasons: reasons to doubt the pose, in words; empty if there is none.
        crown_rump_interval: how precise the distance from crown to rump is; None if it is not
            known.
    """

    score: Probability | None = None
    fetus: Probability | None = None
    sides: Probability | None = None
    reasons: tuple[str, ...] = ()
    crown_rump_interval: LengthInterval | None = None


class Provenance(_Record):
    """How a pose was made: by which model, with which settings, from which volume.

    Attributes:
        fetusmap: version of the package.
        model: name of the model.
        model_sha256: hash of the model's card, which holds the hashes of its files.
        refine: kind of refinement; "none" if the pose was not refined.
        flip_average: whether the heatmaps were averaged with those of the mirrored volume.
        input_sha256: hash of the volume's voxels and of their grid.
        library_sha256: hash of the pose library that refined the pose.
        device: "cpu" or "cuda".
        precision: "bfloat16" or "float32".
        warnings: warnings of the file reader and of the estimator, in words.
        changes: what the refinement changed, in words.
        rejected_because: why the refined pose was rejected and the unrefined pose was returned, in
            words; empty if it was not rejected.
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
