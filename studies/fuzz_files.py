"""Good, tiny files of DICOM and GE Kretz, from which `fuzz_readers` makes damaged ones."""

from __future__ import annotations

import io
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid

from fetusmap.io.volumes.kretz_writer import save_kretz_sweeps, save_kretz_voxels
from fetusmap.volume.beams import BeamLattice

SECRET = "SECRET"  # noqa: S105
SHAPE = (16, 16, 16)
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
DEFLATED, BASELINE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
COMPRESSIONS = {"1.2.840.10008.1.2.5": "pydicom", "1.2.840.10008.1.2.4.80": "pyjpegls"}
JPEG_2000 = "1.2.840.10008.1.2.4.90"
ENHANCED, MULTI_FRAME, SCREEN = "6.2", "3.1", "7"


@cache
def good_files() -> dict[str, bytes]:
    """Return the bytes of each file by its kind."""
    files = {"DICOM, plain": saved(enhanced()), "DICOM, in frames": saved(enhanced(shared=False))}
    files["DICOM, without types"] = saved(enhanced(), IMPLICIT)
    files["DICOM, deflated"] = saved(enhanced(), DEFLATED)
    files["DICOM, multi-frame"] = saved(multi_frame())
    files["DICOM, QLAB"] = saved(qlab(), IMPLICIT)
    for syntax, plugin in COMPRESSIONS.items():
        data = enhanced()
        data.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
        files[f"DICOM, {syntax}"] = saved(data, syntax)
    data = enhanced(side=32)
    data.compress(JPEG_2000, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    files[f"DICOM, {JPEG_2000}"] = saved(data, JPEG_2000)
    files[f"DICOM, {BASELINE}"] = saved(with_jpeg(enhanced()), BASELINE)
    files["DICOM, JPEG lossless"] = with_lossless_jpeg(saved(enhanced()))
    for name, content in kretz_files().items():
        files[f"Kretz, {name}"] = content
        files[f"Kretz in DICOM, {name}"] = saved(around(content))
    files["Kretz in DICOM, deflated"] = saved(around(kretz_files()["beams"]), DEFLATED)
    return files


def speckle(side: int = 16) -> np.ndarray:
    """Return (16, side, side) frames of random bytes."""
    return np.random.default_rng(0).integers(0, 256, (SHAPE[2], side, side), dtype=np.uint8)


def instance(frames: np.ndarray, kind: str) -> FileDataset:
    """Return an instance with frames and a patient, and without geometry."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(EXPLICIT)
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = meta.MediaStorageSOPClassUID = UID(f"1.2.840.10008.5.1.4.1.1.{kind}")
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["fuzz"])
    data.Modality, data.Manufacturer = "US", "Acme"
    data.PatientName, data.PatientID = f"{SECRET}^NAME", f"{SECRET}-ID"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.NumberOfFrames, data.Rows, data.Columns = frames.shape
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = frames.tobytes()
    data["PixelData"].VR = "OB"
    return data


def item(**values: Any) -> Dataset:
    """Return a data set of the given elements."""
    data = Dataset()
    for word, value in values.items():
        setattr(data, word, value)
    return data


def enhanced(side: int = 16, *, shared: bool = True) -> FileDataset:
    """Return an Enhanced US Volume."""
    data = instance(speckle(side), ENHANCED)
    common = {
        "PixelMeasuresSequence": [item(PixelSpacing=["0.6", "0.5"], SpacingBetweenSlices="0.7")],
        "PlaneOrientationVolumeSequence": [item(ImageOrientationVolume=[1.0, 0, 0, 0, 1, 0])],
    }
    data.SharedFunctionalGroupsSequence = [item(**(common if shared else {}))]
    data.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionVolumeSequence=[item(ImagePositionVolume=[0.0, 0, 0.7 * n])],
            **({} if shared else common),
        )
        for n in range(SHAPE[2])
    ]
    return data


def multi_frame() -> FileDataset:
    """Return frames with a stated distance."""
    data = instance(speckle(), MULTI_FRAME)
    data.PixelSpacing, data.SpacingBetweenSlices = ["0.6", "0.5"], "0.7"
    return data


def qlab() -> FileDataset:
    """Return a Philips volume as QLAB exports it: a stack of slices in one frame."""
    data = instance(speckle(), MULTI_FRAME)
    data.NumberOfFrames = 1
    data.PhysicalDeltaX = data.PhysicalDeltaY = 0.05
    data.add_new(0x30011001, "UL", SHAPE[2])
    data.add_new(0x30011003, "FD", 0.07)
    return data


def around(content: bytes) -> FileDataset:
    """Return a picture of a screen that holds a Kretz file in a private element."""
    data = instance(speckle()[:1], SCREEN)
    data.add_new(0x7FE10011, "LO", "KRETZ_US")
    data.add_new(0x7FE11101, "OB", content + b"\0" * (len(content) % 2))
    return data


def saved(data: FileDataset, syntax: str = EXPLICIT) -> bytes:
    """Return the bytes of an instance."""
    data.file_meta.TransferSyntaxUID = UID(syntax)
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def with_jpeg(data: FileDataset) -> FileDataset:
    """Return an instance whose frames are compressed with loss."""
    frames = []
    for frame in speckle():
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "JPEG")
        frames.append(stream.getvalue())
    data.PixelData = encapsulate(frames)
    data["PixelData"].is_undefined_length = True
    return data


def with_lossless_jpeg(content: bytes) -> bytes:
    """Return the bytes of an instance whose frames are compressed without loss, by GDCM."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "scan.dcm")
        Path(path).write_bytes(content)
        reader, change, writer = (
            gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter(),
        )  # fmt: skip
        reader.SetFileName(path)
        kind = gdcm.TransferSyntax.JPEGLosslessProcess14_1
        change.SetTransferSyntax(gdcm.TransferSyntax(kind))
        if not reader.Read():
            raise RuntimeError("GDCM does not read the file")
        change.SetInput(reader.GetImage())
        change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(path)
        writer.Write()
        return Path(path).read_bytes()


@cache
def kretz_files() -> dict[str, bytes]:
    """Return Kretz files of beams, of two volumes of beams, and of cubic voxels."""
    lattice = BeamLattice(
        45.0,
        32.0,
        np.linspace(5, 75, SHAPE[0]),
        np.radians(np.linspace(-30, 30, SHAPE[1])),
        np.radians(np.linspace(-25, 25, SHAPE[2])),
    )
    patient = struct.pack("<HHI", 0x0110, 2, len(SECRET)) + SECRET.encode()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.vol"
        for name, count in (("beams", 1), ("sequence", 2)):
            save_kretz_sweeps([speckle()] * count, lattice, path)
            found[name] = path.read_bytes()
        save_kretz_voxels(speckle(), 0.5, path)
        found["cubic"] = path.read_bytes()
    return {name: content[:16] + patient + content[16:] for name, content in found.items()}
