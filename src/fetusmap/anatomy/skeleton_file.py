"""Reading and writing of skeleton files: the built-in ones, and skeletons of your own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, model_validator

from fetusmap.anatomy.landmark_names import count_landmarks
from fetusmap.anatomy.limbs import Limb
from fetusmap.anatomy.skeleton import CrownRumpModel, JointAngle, Segment, Side, Skeleton
from fetusmap.errors import BadInput
from fetusmap.files.documents import Document, Position, Version1, parse_document, read_json
from fetusmap.types import FrozenMapping

MAX_ENTRIES = 1000
"""Largest number of entries in any list of a skeleton, far more than an annotation has."""

BUILT_IN = {name: Path(__file__).with_name(f"{name}.json") for name in ("fetus-16", "fetus-22")}

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
NamePair = tuple[Name, Name]


class LandmarkEntry(Document):
    """One landmark of a skeleton file."""

    name: Name
    paper_index: Annotated[int, Strict()] | None = None
    reference_position: Position | None = None


class SegmentEntry(Document):
    """One segment of a skeleton file."""

    name: Name
    start: Name
    end: Name


class AngleEntry(Document):
    """One joint angle of a skeleton file."""

    name: Name
    first: NamePair
    second: NamePair
    meaning: str = ""


LimbName = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _.-]{1,160}$")]


class LimbEntry(Document):
    """One limb of a skeleton file: landmarks of the left side, from the root outwards."""

    name: LimbName
    landmarks: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_ENTRIES)]


Part = Annotated[float, Strict(), Field(gt=0, le=1)]


class CrownRumpEntry(Document):
    """The crown-rump model of a skeleton file."""

    path: Annotated[tuple[Name, ...], Field(min_length=2, max_length=MAX_ENTRIES)]
    fraction: Part
    fraction_cv: Part
    segment_cv: Part


Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class SkeletonDocument(Document):
    """A skeleton file: a built-in skeleton, or the landmarks of your own study."""

    format: Literal["fetusmap-skeleton"]
    version: Version1
    name: Name
    description: str = ""
    landmarks: Annotated[tuple[LandmarkEntry, ...], Field(min_length=1, max_length=MAX_ENTRIES)]
    mirror_pairs: Annotated[tuple[NamePair, ...], Field(max_length=MAX_ENTRIES)] = ()
    segments: Annotated[tuple[SegmentEntry, ...], Field(max_length=MAX_ENTRIES)] = ()
    angles: Annotated[tuple[AngleEntry, ...], Field(max_length=MAX_ENTRIES)] = ()
    trunk: tuple[Name, Name, Name] | None = None
    crown_rump_ends: NamePair | None = None
    crown_rump: CrownRumpEntry | None = None
    lateral_pairs: Annotated[tuple[NamePair, ...], Field(max_length=MAX_ENTRIES)] = ()
    registration_subset: Annotated[tuple[Name, ...], Field(max_length=MAX_ENTRIES)] = ()
    limbs: Annotated[tuple[LimbEntry, ...], Field(max_length=MAX_ENTRIES)] = ()
    colors: dict[Side, Color] = Field(
        default={"left": "#3b8bd9", "right": "#f28e2b", "midline": "#f2f2f2"}
    )

    @model_validator(mode="after")
    def _check_names(self) -> SkeletonDocument:
        names = [entry.name for entry in self.landmarks]
        for kind, entries in (
            ("landmark", names),
            ("segment", [s.name for s in self.segments]),
            ("angle", [a.name for a in self.angles]),
            ("landmark in mirror_pairs", [n for pair in self.mirror_pairs for n in pair]),
            ("landmark in limbs", [n for limb in self.limbs for n in limb.landmarks]),
        ):
            repeated = sorted(n for n, times in Counter(entries).items() if times > 1)
            if repeated:
                raise ValueError(f"{kind} {repeated[0]!r} appears more than once")
        used = [n for pair in (*self.mirror_pairs, *self.lateral_pairs) for n in pair]
        used += [n for s in self.segments for n in (s.start, s.end)]
        used += [n for a in self.angles for n in (*a.first, *a.second)]
        used += [
            *(self.trunk or ()),
            *(self.crown_rump_ends or ()),
            *(self.crown_rump.path if self.crown_rump else ()),
            *self.registration_subset,
        ]
        left = {name for name, _ in self.mirror_pairs}
        outside = [n for limb in self.limbs for n in limb.landmarks if n not in left]
        if outside:
            raise ValueError(
                f"{outside[0]!r} is in a limb but is not the first landmark of a mirror pair"
            )
        loops = [s.name for s in self.segments if s.start == s.end]
        if loops:
            raise ValueError(f"segment {loops[0]!r} starts and ends at one landmark")
        if self.crown_rump_ends and len(set(self.crown_rump_ends)) == 1:
            raise ValueError(f"both crown_rump_ends are {self.crown_rump_ends[0]!r}")
        placed = [entry.reference_position is not None for entry in self.landmarks]
        if any(placed) and not all(placed):
            raise ValueError("some landmarks have a reference_position and some have none")
        unknown = sorted(set(used) - set(names))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is used but is not among the landmarks")
        return self


def load_skeleton(source: str | Path = "fetus-16") -> Skeleton:
    """Load a built-in skeleton by its name, or a skeleton file.

    Args:
        source: the name of a built-in skeleton ("fetus-16" or "fetus-22"), or the path of a
            skeleton file (see the docs page on skeletons).

    Raises:
        BadInput: the source is neither a built-in name nor a valid skeleton file.
    """
    if str(source) in BUILT_IN:
        return built_in_skeleton(str(source))
    path = Path(source)
    if path.suffix != ".json":
        raise BadInput(
            f"skeleton {str(source)!r}",
            expected=f"a built-in name ({', '.join(BUILT_IN)}) or a .json file",
            found="neither",
            remedy="write your landmarks into a JSON file and give its path",
        )
    return skeleton_from_plain(read_json(path), path)


def built_in_skeletons() -> tuple[str, ...]:
    """Return the names of the built-in skeletons."""
    return tuple(BUILT_IN)


@cache
def built_in_skeleton(name: str, subject: object = "skeleton") -> Skeleton:
    """Return the built-in skeleton of that name.

    No file of that name is opened, so the name may come from an untrusted file.

    Raises:
        BadInput: there is no built-in skeleton of that name.
    """
    if name not in BUILT_IN:
        raise BadInput(
            subject,
            expected=f"a built-in skeleton ({', '.join(BUILT_IN)})",
            found=repr(name),
            remedy="give the skeleton's own file",
        )
    return skeleton_from_plain(read_json(BUILT_IN[name]), name)


def built_in_skeleton_for(landmarks: Iterable[str]) -> Skeleton:
    """Return the smallest built-in skeleton that has the most of these landmarks, as typed.

    Files that hold landmark names without the definition of a skeleton are read with it.
    """
    names = tuple(landmarks)
    candidates = [built_in_skeleton(name) for name in BUILT_IN]
    return max(candidates, key=lambda one: (count_landmarks(names, one), -len(one)))


def skeleton_from_plain(data: object, subject: object = "skeleton") -> Skeleton:
    """Build a skeleton from the plain data of a skeleton file."""
    document = parse_document(SkeletonDocument, data, subject)
    positions = [entry.reference_position for entry in document.landmarks]
    whole = tuple(p for p in positions if p is not None)
    return Skeleton(
        name=document.name,
        landmarks=tuple(entry.name for entry in document.landmarks),
        segments=tuple(Segment(s.name, s.start, s.end) for s in document.segments),
        mirror_pairs=document.mirror_pairs,
        angles=tuple(JointAngle(a.name, a.first, a.second, a.meaning) for a in document.angles),
        trunk=document.trunk,
        crown_rump_ends=document.crown_rump_ends,
        crown_rump=CrownRumpModel(**document.crown_rump.model_dump())
        if document.crown_rump
        else None,
        lateral_pairs=document.lateral_pairs,
        registration_subset=document.registration_subset,
        limbs=tuple(Limb(limb.name, limb.landmarks) for limb in document.limbs),
        paper_index=FrozenMapping(
            {e.name: e.paper_index for e in document.landmarks if e.paper_index is not None}
        ),
        reference_positions=whole if len(whole) == len(positions) else None,
        colors=FrozenMapping(dict(document.colors)),
        description=document.description,
    )


def plain_from_skeleton(skeleton: Skeleton) -> dict[str, Any]:
    """Return the plain data of a skeleton file, ready for JSON."""
    reference = skeleton.reference_positions or (None,) * len(skeleton)
    return SkeletonDocument(
        format="fetusmap-skeleton",
        version=1,
        name=skeleton.name,
        description=skeleton.description,
        landmarks=tuple(
            LandmarkEntry(
                name=name, paper_index=skeleton.paper_index.get(name), reference_position=position
            )
            for name, position in zip(skeleton.landmarks, reference, strict=True)
        ),
        mirror_pairs=skeleton.mirror_pairs,
        segments=tuple(
            SegmentEntry(name=s.name, start=s.start, end=s.end) for s in skeleton.segments
        ),
        angles=tuple(
            AngleEntry(name=a.name, first=a.first, second=a.second, meaning=a.meaning)
            for a in skeleton.angles
        ),
        trunk=skeleton.trunk,
        crown_rump_ends=skeleton.crown_rump_ends,
        crown_rump=CrownRumpEntry(**asdict(skeleton.crown_rump)) if skeleton.crown_rump else None,
        lateral_pairs=skeleton.lateral_pairs,
        registration_subset=skeleton.registration_subset,
        limbs=tuple(LimbEntry(name=x.name, landmarks=x.landmarks) for x in skeleton.limbs),
        colors={side: skeleton.color(side) for side in ("left", "right", "midline")},
    ).model_dump(mode="json", exclude_none=True)


def entry_from_skeleton(skeleton: Skeleton) -> str | dict[str, Any]:
    """Return the entry for a skeleton in other files: its name if built in, else its plain data."""
    plain = plain_from_skeleton(skeleton)
    # The name is sufficient only if the built-in skeleton is exactly this one.
    known = skeleton.name in BUILT_IN and plain == plain_from_skeleton(
        built_in_skeleton(skeleton.name)
    )
    return skeleton.name if known else plain


def skeleton_from_entry(entry: str | SkeletonDocument, subject: object = "skeleton") -> Skeleton:
    """Return the skeleton of an entry in another file; no file that the entry names is opened.

    Raises:
        BadInput: the entry is a name, and there is no built-in skeleton of that name.
    """
    if isinstance(entry, str):
        return built_in_skeleton(entry, subject)
    return skeleton_from_plain(entry.model_dump(mode="json"), subject)
