"""`DicomStudy`: the images that a DICOM report refers to, and the study that it belongs to."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import first_bytes, size_of
from fetusmap.io.sandbox.dicom import describe_instances
from fetusmap.io.volumes import dicom
from fetusmap.io.volumes.dicom_series import HEAD_BYTES
from fetusmap.io.volumes.dicom_words import US
from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits
from fetusmap.io.volumes.source import OpenedSource

UID = re.compile(r"[0-9]+(\.[0-9]+)*")
MAX_UID = 64
REQUIRED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
ENHANCED_US = f"{US}6.2"
LONG, SHORT, DATE = r"[^\\\x00-\x1f]{1,64}", r"[^\\\x00-\x1f]{1,16}", r"\d{8}"
NAME = rf"{LONG}(={LONG}){{0,2}}"
FORMS = {
    "PatientName": NAME, "PatientID": LONG, "IssuerOfPatientID": LONG, "PatientBirthDate": DATE,
    "PatientSex": "[MFO]", "StudyDate": DATE, "StudyTime": r"\d{2,6}(\.\d{1,6})?",
    "StudyID": SHORT, "StudyDescription": LONG, "AccessionNumber": SHORT,
    "ReferringPhysicianName": NAME,
}  # fmt: skip
"""Forms that DICOM allows for the elements that a report copies."""

EXPORT = (
    "export the scan from the archive again, or write a report without a patient with --anonymous"
)


@dataclass(frozen=True)
class ReferencedImage:
    """A DICOM instance with voxels, as a report names it.

    Attributes:
        sop_class: UID of its kind.
        sop_instance: UID of the instance.
        series: UID of its series.
    """

    sop_class: str
    sop_instance: str
    series: str


@dataclass(frozen=True)
class DicomStudy:
    """The study that a report belongs to.

    Attributes:
        uid: UID of the study.
        images: the instances that hold the volume; none for a study of its own.
        frame_of_reference: UID of the frame of reference in which the report's positions are given.
        has_positions_of_images: whether that is the frame of reference of the images, so that a
            viewer can draw the positions on them.
        subject: elements of the modules Patient and General Study, by keyword.
        warnings: elements of the subject that are left out, because DICOM forbids their values.
    """

    uid: str
    images: tuple[ReferencedImage, ...]
    frame_of_reference: str
    has_positions_of_images: bool
    subject: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    def with_new_frame_of_reference(self) -> DicomStudy:
        """Return the study for positions that are not those of its images."""
        return replace(self, frame_of_reference=new_uid(), has_positions_of_images=False)


def new_study() -> DicomStudy:
    """Return a study of its own, without a patient and without images."""
    return DicomStudy(new_uid(), (), new_uid(), has_positions_of_images=False)


def new_uid() -> str:
    """Return a UID that nobody else has."""
    return f"2.25.{uuid.uuid4().int}"


def study_of(opened: OpenedSource, path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> DicomStudy:
    """Return the study of an open DICOM source, its instances, and its patient.

    If the file does not state where its frames lie, or no frame of reference, a new frame of
    reference is invented: positions are those that `load_volume` returns.

    Raises:
        UnreadableFile: the source is not DICOM, lacks the UIDs that a report must state, or its
            instances belong to several studies.
    """
    file, header = opened.data, opened.header
    if not dicom.recognise(first_bytes(file, path, HEAD_BYTES)):
        raise UnreadableFile(
            path,
            expected="the DICOM file of the scan, which states the study of a report",
            found=header.format,
            remedy="give the DICOM file with --source, or write a report without a patient with "
            "--anonymous",
        )
    instances = [(0, size_of(file))] if header.plan is None else list(header.plan.instances)
    described = describe_instances(file, instances, path, limits, task="refer")
    images = tuple(_image(one["image"], path) for one in described)
    studies = {one["image"]["StudyInstanceUID"] for one in described}
    if len(studies) > 1:
        raise UnreadableFile(
            path, expected="images of one study", found=f"{len(studies)} studies", remedy=EXPORT
        )
    frames = {_frame_of_reference(one["image"]) for one in described}
    stated = frames.pop() if len(frames) == 1 else ""
    # Without stated positions the reader's frame of reference is an assumption of its own.
    known = header.lattice is None and header.affine is not None and not header.sides_assumed
    subject = described[0]["subject"]
    odd = [word for word, text in subject.items() if not re.fullmatch(FORMS[word], text)]
    return DicomStudy(
        uid=studies.pop(),
        images=images,
        frame_of_reference=stated if known and stated else new_uid(),
        has_positions_of_images=bool(known and stated),
        subject={word: text for word, text in subject.items() if word not in odd},
        warnings=tuple(f"{word} of the scan is not valid DICOM and is left out" for word in odd),
    )


def _image(stated: Mapping[str, str], path: Path) -> ReferencedImage:
    """Return a reference to an instance."""
    for word in REQUIRED:
        text = stated.get(word, "")
        if not _is_uid(text):
            raise UnreadableFile(
                path,
                expected=f"a valid {word}, which a report must state",
                found="another text" if text else "none",
                remedy=EXPORT,
            )
    return ReferencedImage(
        stated["SOPClassUID"], stated["SOPInstanceUID"], stated["SeriesInstanceUID"]
    )


def _frame_of_reference(stated: Mapping[str, str]) -> str:
    """Return the frame of reference of the frames' positions; "" if it is not stated.

    An Enhanced US Volume has positions in the frame of reference of the volume.
    """
    words = ["FrameOfReferenceUID"]
    if stated["SOPClassUID"] == ENHANCED_US:
        words.insert(0, "VolumeFrameOfReferenceUID")
    return next((stated[word] for word in words if _is_uid(stated.get(word, ""))), "")


def _is_uid(text: str) -> bool:
    return len(text) <= MAX_UID and UID.fullmatch(text) is not None
