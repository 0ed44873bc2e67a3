"""How much a file may ask of us before we have seen a single voxel."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class ReadLimits:
    """Caps on untrusted volumes. The defaults leave room for ten times the paper's volumes.

    Attributes:
        max_voxels: voxels that a header may claim.
        max_bytes: bytes that they may take, decoded and scaled.
        max_ratio: decoded bytes per byte of file, once there are more than `free_bytes`. Speckle
            compresses 2 to 5 times, a sparse label map nearly as well as DEFLATE can (1,032
            times): beyond that, and above all, `max_bytes` holds.
        free_bytes: decoded size below which the ratio does not matter.
        timeout_s: wall time for decoding.
        decoder_bytes: address space of the decoding process, where the system can limit it
            (Linux; the stream itself is bounded everywhere).
        max_header_bytes: length of a text header.
        min_axis: voxels that each axis must have.
        spacing_mm: lowest and highest plausible spacing.
        max_shear: largest absolute cosine between two axes.
        follow_links: read through symbolic links.
        allow_detached: let a `.nhdr` or `.mhd` name a second file in its folder. Forbid it for
            files that come from strangers.
    """

    max_voxels: int = 2**28
    max_bytes: int = 512 * MIB
    max_ratio: float = 1032.0
    free_bytes: int = 64 * MIB
    timeout_s: float = 60.0
    decoder_bytes: int = 512 * MIB
    max_header_bytes: int = MIB
    min_axis: int = 16
    spacing_mm: tuple[float, float] = (0.05, 5.0)
    max_shear: float = 1e-3
    follow_links: bool = False
    allow_detached: bool = True


DEFAULT_LIMITS = ReadLimits()
