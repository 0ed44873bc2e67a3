"""A picture as a DICOM secondary capture; importing this module needs the package highdicom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from highdicom.sc import SCImage
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from fetusmap._version import __version__
from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import open_regular
from fetusmap.io.poses.dicom_report import DESCRIPTION, MAKER, PRODUCT, subject_of
from fetusmap.io.volumes.dicom_study import DicomStudy, new_uid

SERIES_NUMBER = 9002
MAX_PIXELS = 1 << 25


def picture_of(path: Path, study: DicomStudy) -> Dataset:
    """Return a picture file as a DICOM instance of a study.

    The picture shows the name of the case, so it is declared to contain burned-in text.

    Raises:
        UnreadableFile: the file is no picture, or is too large.
    """
    try:
        with open_regular(path) as file, Image.open(file, formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise OSError("too many pixels")
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(
            path, expected="a PNG picture", found="none", remedy="predict the case again"
        ) from error
    captured = SCImage.from_ref_dataset(
        ref_dataset=subject_of(study),
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        series_instance_uid=new_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=PRODUCT,
        software_versions=__version__,
        series_description=DESCRIPTION,
        specific_character_set="ISO_IR 192",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    captured.PatientOrientation, captured.Laterality = [], ""  # several views on one page
    captured.BurnedInAnnotation = "YES"
    return captured
