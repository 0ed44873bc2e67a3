"""`ReadLimits`: how large, how well compressed and how slow a volume file may be."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class ReadLimits:
    """Upper limits for untrusted volumes; the defaults allow ten times the paper's volumes.

    Attributes:
        max_voxels: largest number of voxels that a header may announce.
        max_bytes: largest number of bytes that the voxels may take, decoded and scaled.
        max_ratio: largest number of decoded bytes per byte of file, if there are more than
            `free_bytes`. Speckle compresses 2 to 5 times, a sparse label map nearly as well as
            DEFLATE can (1,032 times). `max_bytes` holds in any case.
        free_bytes: decoded size up to which the ratio is not checked.
        timeout_s: wall time for decoding.
        decoder_bytes: address space of the decoding process, where the system can limit it
            (Linux; the stream itself is bounded everywhere).
        max_header_bytes: length of a text header.
        min_axis: voxels that each axis must have.
        spacing_mm: lowest and highest plausible spacing.
        max_shear: largest absolute cosine between two axes.
        follow_links: whether symbolic links are followed.
        allow_detached: whether a `.nhdr` or `.mhd` may name a second file in its folder. Forbid it
            for files from unknown origin.
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
