"""A pose as a DICOM structured report: measurements after template TID 1500, positions in 3D.

Every landmark is a point and every segment a line in the frame of reference of the scan. Importing
this module needs the package highdicom; `fetusmap.io.poses.dicom_file` says so if it is missing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageRegion3D,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    NumContentItem,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    SourceImageForMeasurementGroup,
    SubjectContext,
    SubjectContextFetus,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from fetusmap._version import __version__
from fetusmap.anatomy import Pose, crown_rump_length, gestational_age_interval
from fetusmap.io.poses import dicom_codes as codes
from fetusmap.io.volumes.dicom_study import DicomStudy, ReferencedImage, new_uid
from fetusmap.types import Points3

PRODUCT, MAKER = "FetusMap", "The FetusMap developers"
DEVICE_UID = "2.25.117353868245018743236530184127706523412"
SERIES_NUMBER = 9001
DESCRIPTION = "FetusMap: fetal pose, unverified"
MANDATORY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Elements that every instance has, if only without a value."""

CAVEAT = "Made by research software that is not a medical device. Not verified by a person."
LIMB_CAVEAT = (
    "Lengths under clinical codes are distances between joints. They are longer than the ossified "
    "shaft that a clinical measurement takes: do not compare them with growth charts."
)
Group = PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations


def report_of(pose: Pose, study: DicomStudy, *, clinical_limb_codes: bool = False) -> Dataset:
    """Return the report of a pose as a DICOM instance.

    Args:
        pose: the pose, LPS mm in the frame of reference of the study.
        study: the study that the report becomes part of, and the images that it refers to.
        clinical_limb_codes: whether distances of limbs get the codes of clinical bone lengths.
    """
    content = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                codes.DEVICE,
                DeviceObserverIdentifyingAttributes(
                    DEVICE_UID, f"{PRODUCT} {__version__}", MAKER, PRODUCT
                ),
            ),
            subject_context=SubjectContext(codes.FETUS, SubjectContextFetus("fetus")),
        ),
        procedure_reported=codes.IMAGING,
        imaging_measurements=[
            *_body_groups(pose, study),
            *_landmark_groups(pose, study),
            *_segment_groups(pose, study, clinical_limb_codes),
            _quality_group(pose, study, clinical_limb_codes),
        ],
    )
    report = Comprehensive3DSR(
        evidence=[subject_of(study), *(_image(image, study) for image in study.images)],
        content=content[0],
        series_instance_uid=new_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=PRODUCT,
        software_versions=__version__,
        series_description=DESCRIPTION,
        is_complete=bool(pose.present.all()),
        is_final=False,
        is_verified=False,
        specific_character_set="ISO_IR 192",
        coding_schemes=[CodingSchemeIdentificationItem(codes.SCHEME, codes.SCHEME_NAME)],
    )
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    named = [series for series in evidence.ReferencedSeriesSequence if series.SeriesInstanceUID]
    if named:
        evidence.ReferencedSeriesSequence = named  # without the subject
    else:
        del report.CurrentRequestedProcedureEvidenceSequence
    return report


def subject_of(study: DicomStudy) -> Dataset:
    """Return what every new instance of a study takes over: its patient and its study."""
    data = Dataset()
    for word in MANDATORY:
        setattr(data, word, None)
    for word, text in study.subject.items():
        setattr(data, word, text)
    data.StudyInstanceUID = study.uid
    # highdicom asks for an instance of a kind that it knows, and scans may be of another kind.
    data.SOPClassUID = SecondaryCaptureImageStorage
    data.SOPInstanceUID = data.SeriesInstanceUID = ""
    return data


def _image(image: ReferencedImage, study: DicomStudy) -> Dataset:
    """Return an image as highdicom expects it among the evidence of a report."""
    data = Dataset()
    data.StudyInstanceUID, data.SeriesInstanceUID = study.uid, image.series
    data.SOPClassUID, data.SOPInstanceUID = image.sop_class, image.sop_instance
    return data


def _body_groups(pose: Pose, study: DicomStudy) -> Iterator[Group]:
    """Yield the groups of the crown-rump length and of the gestational age, if they are known."""
    length = crown_rump_length(pose)
    if not np.isfinite(length.length_mm):
        return
    measured = _measurement(codes.CROWN_RUMP, length.length_mm, codes.MM, length.half_width_mm)
    name, method = "crown_rump_length", codes.METHODS[length.method]
    ends = pose.skeleton.crown_rump_ends
    if length.method == "measured" and ends is not None:
        points = pose.positions_mm[pose.skeleton.indices(ends)]
        yield _region_group(name, codes.CROWN_RUMP, points, pose, study, [measured], method)
    else:
        yield _plain_group(name, pose, study, [measured], method)
    age = gestational_age_interval(length.length_mm, length.half_width_mm)
    if np.isfinite(age.days):
        dated = _measurement(codes.GESTATIONAL_AGE, age.days, codes.DAYS, age.half_width_days)
        yield _plain_group("gestational_age", pose, study, [dated], codes.DATING)


def _landmark_groups(pose: Pose, study: DicomStudy) -> Iterator[Group]:
    for landmark in pose:
        if landmark.is_present:
            sure = _measurement(codes.CONFIDENCE, landmark.confidence, codes.RATIO)
            finding, sites = _anatomy(landmark.name, landmark.side)
            point = landmark.position_mm[None]
            group = _region_group(landmark.name, finding, point, pose, study, [sure], sites=sites)
            if landmark.review != "machine":
                _add_comment(group, f"position {landmark.review} by a person")
            yield group


def _segment_groups(pose: Pose, study: DicomStudy, clinical: bool) -> Iterator[Group]:
    lengths = pose.lengths_mm()
    for segment in pose.skeleton.segments:
        length = lengths[segment.name]
        if not np.isfinite(length):
            continue
        sides = {pose.skeleton.side(end) for end in (segment.start, segment.end)} - {"midline"}
        side = sides.pop() if len(sides) == 1 else "midline"
        finding, sites = _anatomy(segment.name, side)
        code = codes.CLINICAL_LENGTHS.get(_without_side(segment.name, side)) if clinical else None
        ends = pose.positions_mm[pose.skeleton.indices((segment.start, segment.end))]
        yield _region_group(
            segment.name,
            finding,
            ends,
            pose,
            study,
            [_measurement(code or codes.DISTANCE, length, codes.MM)],
            codes.JOINT_TO_JOINT,
            sites,
        )


def _quality_group(pose: Pose, study: DicomStudy, clinical: bool) -> Group:
    """Return the group with the quality of the pose and every doubt about it, in words."""
    score = pose.quality.score
    sure = [] if score is None else [_measurement(codes.QUALITY, score, codes.RATIO)]
    group = _plain_group("quality", pose, study, sure)
    place = () if study.has_positions_of_images else (
        "The positions are in a frame of reference of their own: the scan states none for its "
        "frames, or the report does not refer to a scan.",
    )  # fmt: skip
    texts = (
        CAVEAT,
        *([LIMB_CAVEAT] if clinical else []),
        *place,
        *pose.quality.reasons,
        *pose.provenance.warnings,
    )
    for text in texts:
        _add_comment(group, text)
    return group


def _add_comment(group: Group, text: str) -> None:
    group[0].ContentSequence.append(TextContentItem(codes.COMMENT, text, "CONTAINS"))


def _region_group(
    name: str,
    finding: CodedConcept,
    points_mm: Points3,
    pose: Pose,
    study: DicomStudy,
    measured: list[Measurement],
    method: CodedConcept | None = None,
    sites: list[FindingSite] | None = None,
) -> Group:
    """Return a group about one point or one line in space."""
    kind = "POINT" if len(points_mm) == 1 else "POLYLINE"
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(new_uid(), name),
        referenced_region=ImageRegion3D(kind, points_mm, study.frame_of_reference),
        finding_type=finding,
        finding_sites=sites,
        method=method,
        algorithm_id=_algorithm(pose),
        measurements=measured,
    )


def _plain_group(
    name: str,
    pose: Pose,
    study: DicomStudy,
    measured: list[Measurement],
    method: CodedConcept | None = None,
) -> Group:
    """Return a group about the whole scan, whose images it names."""
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(new_uid(), name),
        method=method,
        algorithm_id=_algorithm(pose),
        measurements=measured or None,
        source_images=[
            SourceImageForMeasurementGroup(image.sop_class, image.sop_instance)
            for image in study.images
        ],
    )


def _measurement(
    name: CodedConcept, value: float, unit: CodedConcept, half_width: float = np.nan
) -> Measurement:
    """Return a measurement, with the half width of its 95 % interval if that is known."""
    measured = Measurement(name, round(value, 3), unit)
    if np.isfinite(half_width):
        ends = [
            NumContentItem(code, round(half_width, 3), unit, None, "HAS PROPERTIES")
            for code in (codes.UPPER_UNCERTAINTY, codes.LOWER_UNCERTAINTY)
        ]
        measured[0].ContentSequence = ContentSequence(ends)
    return measured


def _algorithm(pose: Pose) -> AlgorithmIdentification | None:
    """Return which program and model made the pose; None if a person made it."""
    made = pose.provenance
    if not made.model:
        return None
    facts = (f"model {made.model}", f"model sha256 {made.model_sha256}", f"refine {made.refine}")
    return AlgorithmIdentification(PRODUCT, made.fetusmap or "unknown", facts)


def _anatomy(name: str, side: str) -> tuple[CodedConcept, list[FindingSite]]:
    """Return the code of a landmark or segment, and its place without and with its side."""
    words = _without_side(name, side)
    place = codes.own_code(words, words.replace("_", " "))
    finding = codes.own_code(name, name.replace("_", " "))
    return finding, [FindingSite(place, codes.LATERALITY.get(side))]


def _without_side(name: str, side: str) -> str:
    return "_".join(word for word in name.split("_") if word != side) or name
