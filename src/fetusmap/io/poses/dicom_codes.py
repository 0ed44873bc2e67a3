"""Codes of a DICOM report: published ones, and those of this package where none means the same.

A distance from joint to joint is not the length of the ossified shaft that clinicians measure, so
it has a code of its own; the clinical codes are used only on request.
"""

from __future__ import annotations

from highdicom.sr import CodedConcept

SCHEME = "99FETUSMAP"
SCHEME_NAME = "FetusMap: landmarks and measurements of the fetal skeleton"
MAX_MEANING = 64


def own_code(value: str, meaning: str) -> CodedConcept:
    """Return a code of this package, whose meaning is cut to the length that DICOM allows."""
    return CodedConcept(value[:MAX_MEANING], SCHEME, meaning[:MAX_MEANING])


CROWN_RUMP = CodedConcept("11957-8", "LN", "Crown Rump Length")
GESTATIONAL_AGE = CodedConcept("18185-9", "LN", "Gestational Age")
UPPER_UNCERTAINTY = CodedConcept("371886008", "SCT", "+, range of upper measurement uncertainty")
LOWER_UNCERTAINTY = CodedConcept("371885007", "SCT", "-, range of lower measurement uncertainty")
COMMENT = CodedConcept("121106", "DCM", "Comment")
IMAGING = CodedConcept("363679005", "SCT", "Imaging procedure")
FETUS, DEVICE = CodedConcept("121026", "DCM", "Fetus"), CodedConcept("121007", "DCM", "Device")
MM, DAYS = CodedConcept("mm", "UCUM", "mm"), CodedConcept("d", "UCUM", "day")
RATIO = CodedConcept("1", "UCUM", "no units")

DISTANCE = own_code("distance", "Distance between two landmarks")
CONFIDENCE = own_code("confidence", "Probability of an error below 5 mm")
QUALITY = own_code("quality", "Probability that the pose is correct")
JOINT_TO_JOINT = own_code("joint-to-joint", "Distance between joints, longer than the bone shaft")
METHODS = {
    "measured": own_code("measured", "Distance from crown to rump"),
    "estimated": own_code("estimated", "Estimate from landmarks of head and trunk"),
}
DATING = own_code("intergrowth-21st", "INTERGROWTH-21st chart of the crown-rump length")

CLINICAL_LENGTHS = {
    "femur": CodedConcept("11963-6", "LN", "Femur Length"),
    "humerus": CodedConcept("11966-9", "LN", "Humerus length"),
    "leg": CodedConcept("11968-5", "LN", "Tibia length"),
    "tibia": CodedConcept("11968-5", "LN", "Tibia length"),
    "forearm": CodedConcept("11969-3", "LN", "Ulna length"),
    "ulna": CodedConcept("11969-3", "LN", "Ulna length"),
}
"""Clinical codes of segments, by the name of the segment without its side."""

LATERALITY = {
    "left": CodedConcept("7771000", "SCT", "Left"),
    "right": CodedConcept("24028007", "SCT", "Right"),
}
