"""How much a file may ask of us before we have seen a single voxel."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class ReadLimits:
    """Caps on untrusted volumes. The defaults leave room for four times the largest real sweep.

    Attributes:
        max_voxels: voxels that a header may claim.
        max_bytes: bytes that they may take, decoded.
        max_ratio: decoded bytes per byte of file, once there are more than `free_bytes`. Speckle
            compresses 2 to 5 times, label maps up to 300 times, a gzip bomb 1,000 times.
        free_bytes: decoded size below which the ratio does not matter.
        timeout_s: wall time for decoding.
        decoder_bytes: address space of the decoding process.
        max_header_bytes: length of a text header.
        min_axis: voxels that each axis must have.
        spacing_mm: lowest and highest plausible spacing.
        max_shear: largest absolute cosine between two axes.
        follow_links: read through symbolic links.
    """

    max_voxels: int = 2**28
    max_bytes: int = 1024 * MIB
    max_ratio: float = 400.0
    free_bytes: int = 64 * MIB
    timeout_s: float = 60.0
    decoder_bytes: int = 512 * MIB
    max_header_bytes: int = MIB
    min_axis: int = 16
    spacing_mm: tuple[float, float] = (0.05, 5.0)
    max_shear: float = 1e-3
    follow_links: bool = False


DEFAULT_LIMITS = ReadLimits()
