"""DICOM files for tests, put together with pydicom element by element; the fixture is `dicom`."""

from __future__ import annotations

import base64
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from fetusmap.io.sandbox import dicom as sandbox
from fetusmap.io.sandbox import dicom_decoder

ENHANCED_US = "1.2.840.10008.5.1.4.1.1.6.2"
MULTI_FRAME_US = "1.2.840.10008.5.1.4.1.1.3.1"
SINGLE_US = "1.2.840.10008.5.1.4.1.1.6.1"
NATIVE = str(ExplicitVRLittleEndian)
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
PLUGINS = {RLE: "pydicom", JPEG_LS: "pyjpegls", JPEG_2000: "pylibjpeg"}


def instance(
    frames: np.ndarray[Any, Any], sop_class: str = MULTI_FRAME_US, *, syntax: str = NATIVE
) -> FileDataset:
    """Return an instance with (n, rows, columns) frames and a patient, and without geometry."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["a"])
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = sop_class
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.StudyDate = "20251103"
    data.Modality = "US"
    data.Manufacturer = "Acme Medical"
    data.InstitutionName = "SECRET HOSPITAL"
    data.ManufacturerModelName = "Echo 7"
    data.PatientName = "SECRET^PATIENT"
    data.PatientID = "SECRET-ID"
    data.LastMenstrualDate = "20250811"
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    data.InstanceNumber = 1
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.NumberOfFrames = len(frames)
    data.Rows, data.Columns = frames.shape[1:3]
    data.BitsAllocated = data.BitsStored = 8 * frames.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(frames.dtype.kind == "i")
    data.PixelData = frames.astype(frames.dtype.newbyteorder("<")).tobytes()
    data["PixelData"].VR = "OW" if frames.dtype.itemsize > 1 else "OB"
    return data


def item(**values: Any) -> Dataset:
    """Return a data set of the given elements."""
    data = Dataset()
    for word, value in values.items():
        setattr(data, word, value)
    return data


def enhanced(
    volume: np.ndarray[Any, Any],
    affine: np.ndarray[Any, Any],
    *,
    shared: bool = True,
    order: Sequence[int] | None = None,
    rescale: tuple[float, float] | None = None,
    times: Sequence[int] | None = None,
) -> FileDataset:
    """Return an Enhanced US Volume of an (I, J, K) volume, or of several, (T, I, J, K).

    Args:
        volume: voxels; i is the column, j the row, k the frame.
        affine: (4, 4) world_from_index, right-handed.
        shared: whether spacing and orientation are in the shared groups, else in each frame's own.
        order: stored order of the frames.
        rescale: slope and intercept.
        times: of each volume of a sequence.
    """
    volumes = volume if volume.ndim == 4 else volume[None]
    columns = affine[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    cosines = columns / spacing
    flat = volumes.transpose(0, 3, 2, 1).reshape(-1, volumes.shape[2], volumes.shape[1])
    order = list(range(len(flat))) if order is None else list(order)
    data = instance(np.ascontiguousarray(flat[order]), ENHANCED_US)
    common = {
        "PixelMeasuresSequence": [
            item(
                PixelSpacing=[f"{spacing[1]:.12g}", f"{spacing[0]:.12g}"],
                SpacingBetweenSlices=f"{spacing[2]:.12g}",
            )
        ],
        "PlaneOrientationVolumeSequence": [
            item(ImageOrientationVolume=[*cosines[:, 0].tolist(), *cosines[:, 1].tolist()])
        ],
    }
    if rescale is not None:
        slope, intercept = rescale
        common["PixelValueTransformationSequence"] = [
            item(RescaleSlope=str(slope), RescaleIntercept=str(intercept), RescaleType="US")
        ]
    slices = volumes.shape[3]
    per_frame = []
    for n in order:
        position = affine[:3, 3] + columns[:, 2] * (n % slices)
        own: dict[str, Any] = {
            "PlanePositionVolumeSequence": [item(ImagePositionVolume=position.tolist())]
        }
        if times is not None:
            own["FrameContentSequence"] = [item(TemporalPositionIndex=1 + int(n) // slices)]
            own["TemporalPositionSequence"] = [
                item(TemporalPositionTimeOffset=float(times[n // slices]))
            ]
        per_frame.append(item(**own, **({} if shared else common)))
    data.SharedFunctionalGroupsSequence = [item(**(common if shared else {}))]
    data.PerFrameFunctionalGroupsSequence = per_frame
    return data


def compress(path: Path, syntax: str) -> Path:
    """Compress the voxels of a file: with pydicom, or with GDCM where pydicom cannot."""
    if syntax in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1):
        reader, change, writer = (
            gdcm.ImageReader(),
            gdcm.ImageChangeTransferSyntax(),
            gdcm.ImageWriter(),
        )
        reader.SetFileName(str(path))
        assert reader.Read()
        kind = gdcm.TransferSyntax.JPEGLosslessProcess14_1
        if syntax == JPEG_LOSSLESS:
            kind = gdcm.TransferSyntax.JPEGLosslessProcess14
        change.SetTransferSyntax(gdcm.TransferSyntax(kind))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        assert writer.Write()
        return path
    data = pydicom.dcmread(path)
    if syntax == DEFLATED:
        data.file_meta.TransferSyntaxUID = syntax
    elif syntax == JPEG_BASELINE:
        frames = np.frombuffer(data.PixelData, np.uint8).reshape(-1, data.Rows, data.Columns)
        data.PixelData = encapsulate([jpeg(frame) for frame in frames])
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = syntax
    else:
        data.compress(syntax, encoding_plugin=PLUGINS[syntax], generate_instance_uid=False)
    return save(data, path)


def jpeg(frame: np.ndarray[Any, Any]) -> bytes:
    """Return a frame as JPEG of high quality."""
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=98)
    return stream.getvalue()


def save(data: FileDataset, path: Path) -> Path:
    """Write an instance."""
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="session")
def dicom() -> SimpleNamespace:
    """The functions of this module."""
    return SimpleNamespace(
        instance=instance, item=item, enhanced=enhanced, compress=compress, save=save
    )


@pytest.fixture
def in_process(monkeypatch) -> None:
    """Describe and decode instances in this process: the same functions, without their limits.

    A decoding process takes most of a second to start. Tests that start it are a minority.
    """

    def run_here(command, data, receive, timeout_s, environment):
        task, packed = command[-3:-1]
        parameters = json.loads(zlib.decompress(base64.b64decode(packed)))
        output = io.BytesIO()
        with open(data.fileno(), "rb", buffering=1 << 16, closefd=False) as file:
            failure = dicom_decoder.perform(task, file, output, parameters)
        output.seek(0)
        return receive(output), failure

    monkeypatch.setattr(sandbox, "run_decoder", run_here)


@pytest.fixture(scope="session")
def refused_soon(refused) -> Callable[..., AbstractContextManager[Any]]:
    """As `refused`, but the 5 seconds count processor time, also of the decoding processes.

    The time on the wall says more about the load of the machine.
    """

    @contextmanager
    def check(*words: str) -> Iterator[Any]:
        start = processor_s()
        with refused(*words, within_s=120.0) as caught:
            yield caught
        assert processor_s() - start < 5.0

    return check


def processor_s() -> float:
    """Processor time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
