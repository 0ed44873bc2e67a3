"""Compute envelopes: attenuation, speckle, interfaces, clutter, haze, noise, point spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.simulate.media import Medium, property_of_media
from fetusmap.simulate.scanner.fields import Upsampler
from fetusmap.simulate.scanner.paint import Painting
from fetusmap.simulate.scanner.pointspread import (
    PointSpread,
    coherent_gain,
    spread_across,
    spread_along,
)
from fetusmap.simulate.scanner.probe import Probe
from fetusmap.simulate.scanner.scanner import Scanner
from fetusmap.simulate.scanner.smoothing import smooth
from fetusmap.simulate.tables import table
from fetusmap.types import Field, FloatArray, Labels
from fetusmap.volume.beams import BeamLattice, row_blocks

NEPER_PER_DB = np.log(10) / 20
NOISE_SHIFT_BEAMS = 17  # the noise uses the random numbers of scatterers that many beams away


@dataclass(frozen=True, eq=False)
class Insonification:
    """Effects of the medium between probe and sample, on the coarse lattice.

    Attributes:
        gain: factor on the amplitude of an echo after attenuation, compensation and dropout.
        background: power of clutter and haze.
    """

    gain: Field
    background: Field


def insonify(
    painting: Painting,
    lattice: BeamLattice,
    factors: tuple[int, int, int],
    probe: Probe,
) -> Insonification:
    """Compute the gain along each beam, and the power of echoes from outside the focus.

    The attenuation is A(r) = 2 f0 sum(alpha dr); averaging over neighbouring beams softens shadows.
    """
    scanner = probe.scanner
    ranges = lattice.ranges_mm[:: factors[0]]
    loss_db = _loss_db(painting.label, lattice, factors, scanner)
    # The median is used, so that one pocket of gas does not brighten all tissue beside it.
    typical = np.median(loss_db[:, ::2, ::2], axis=(1, 2))
    compensation = scanner.attenuation_compensated * typical
    if scanner.lateral_compensated > 0:
        loss_db -= _lateral_gain_db(loss_db, lattice, factors, scanner)
    depth_cm = (ranges - ranges.mean()) / 10
    knots = np.interp(
        np.linspace(0, 1, len(ranges)), np.linspace(0, 1, len(probe.gain_knots_db)),
        probe.gain_knots_db,
    )  # fmt: skip
    gain_db = compensation + scanner.gain_slope_db_per_cm * depth_cm + knots
    loss_db -= gain_db.astype(np.float32)[:, None, None]
    loss_db += _dropout_db(probe, lattice, factors)
    gain = np.exp(np.float32(-NEPER_PER_DB) * loss_db)
    return Insonification(gain, _background(painting, gain, ranges, lattice, factors, scanner))


def _lateral_gain_db(
    loss_db: Field, lattice: BeamLattice, factors: tuple[int, int, int], scanner: Scanner
) -> Field:
    """Return the automatic gain that brightens wide shadows and darkens the echoes behind fluid."""
    own = loss_db - loss_db.mean(axis=(1, 2), keepdims=True)
    _, turn, swing = lattice.steps
    wide = smooth(own, (0.0, 0.15 / (turn * factors[1]), 0.15 / (swing * factors[2])))
    return np.asarray(wide * np.float32(scanner.lateral_compensated))


def _loss_db(
    label: Labels,
    lattice: BeamLattice,
    factors: tuple[int, int, int],
    scanner: Scanner,
) -> Field:
    """Return the two-way loss at each coarse sample, dB."""
    per_sample = property_of_media("attenuation") * np.float32(
        2 * scanner.frequency_mhz * lattice.steps[0] / 10 * scanner.attenuation
    )
    rows, thetas, phis = label.shape
    loss = np.empty((rows, -(-thetas // factors[1]), -(-phis // factors[2])), np.float32)
    for rows_ in row_blocks(rows):
        block = np.take(per_sample, label[rows_])
        loss[rows_] = _halved(_halved(block, 2, factors[2]), 1, factors[1])
    np.cumsum(loss, axis=0, out=loss)
    return loss[:: factors[0]].copy()


def _halved(block: Field, axis: int, factor: int) -> Field:
    """Smooth one axis with weights 1/4, 1/2, 1/4, then take every n-th sample."""
    moved = np.moveaxis(block, axis, 0)
    blurred = moved * np.float32(0.5)
    blurred[1:] += np.float32(0.25) * moved[:-1]
    blurred[:-1] += np.float32(0.25) * moved[1:]
    blurred[0] += np.float32(0.25) * moved[0]
    blurred[-1] += np.float32(0.25) * moved[-1]
    return np.moveaxis(blurred[::factor], 0, axis)


def _dropout_db(probe: Probe, lattice: BeamLattice, factors: tuple[int, int, int]) -> Field:
    """Return the (1, t, p) loss from missing contact and from the flicker of frames, dB."""
    thetas, phis = lattice.thetas_rad[:: factors[1]], lattice.phis_rad[:: factors[2]]
    lost = np.zeros((len(thetas), len(phis)))
    for sector in probe.dropouts:
        axis = thetas if sector.axis == "theta" else phis
        where = (axis - axis.mean()) / (axis[-1] - axis[0])
        profile = sector.depth_db * np.exp(-0.5 * ((where - sector.center) / sector.width) ** 2)
        lost += profile[:, None] if sector.axis == "theta" else profile[None, :]
    flicker = np.random.Generator(np.random.SFC64(probe.flicker_seed)).standard_normal(len(phis))
    return (lost + flicker * probe.scanner.frame_flicker_db)[None].astype(np.float32)


def _background(
    painting: Painting,
    gain: Field,
    ranges: FloatArray,
    lattice: BeamLattice,
    factors: tuple[int, int, int],
    scanner: Scanner,
) -> Field:
    """Return the power of side lobes around bright echoes, and of reverberation near the probe."""
    r, t, p = factors
    amplitude = _echo_amplitude()
    power = np.take(amplitude**2, painting.label[::r, ::t, ::p])
    power += painting.specular[::r, ::t, ::p] ** 2
    power *= gain**2
    _, turn, swing = lattice.steps
    # Side lobes and slice thickness reach some seven degrees to each side.
    power = smooth(power, (1.5, 0.12 / (turn * t), 0.10 / (swing * p)))
    tissue = float(amplitude[Medium.FETAL_TISSUE] ** 2)
    haze = 10 ** (scanner.haze_db / 10) * np.exp(-ranges / scanner.haze_length_mm)
    power *= np.float32(10 ** (scanner.clutter_db / 10))
    power += (tissue * haze).astype(np.float32)[:, None, None]
    return np.asarray(power)


def _noise_amplitude(ranges: FloatArray, scanner: Scanner) -> Field:
    """Return the (R,) amplitude of each part of the complex noise, which rises with depth."""
    tissue = float(_echo_amplitude()[Medium.FETAL_TISSUE])
    level_db = scanner.noise_db + scanner.noise_slope_db_per_cm * (ranges - 60) / 10
    return np.asarray(tissue * 10 ** (level_db / 20) / np.sqrt(2), dtype=np.float32)


def synthesize(
    painting: Painting,
    lattice: BeamLattice,
    upsampler: Upsampler,
    insonification: Insonification,
    texture: Field,
    scanner: Scanner,
    speckle_seed: int,
) -> Field:
    """Return the (R, T, P) envelope: the mean of |blurred complex echoes| over compounding frames.

    Echoes are complex normal numbers times the amplitude of the medium, plus the specular
    reflections of interfaces, which have one phase and therefore stay bright and even. An interface
    wider than the point spread keeps its amplitude on every lattice.

    The noise of the amplifier is added after beam forming, so its grain is one beam wide. To save
    time it uses the random numbers of scatterers in distant beams.
    """
    spread = PointSpread.of(scanner, lattice)
    shape = lattice.shape
    gain, background, slow = (
        upsampler.spread(field)
        for field in (insonification.gain, insonification.background, texture)
    )
    hiss = _noise_amplitude(lattice.ranges_mm, scanner)[:, None, None]
    rough = np.float32(table("scanner/specular")["roughness"])
    amplitude = _echo_amplitude()
    varies = property_of_media("texture") * np.float32(NEPER_PER_DB)
    rng = np.random.Generator(np.random.SFC64(speckle_seed))
    work = np.empty(shape, np.float32)
    envelope = np.empty(shape, np.float32)
    echoes = [np.empty(shape, np.float32) for _ in range(2)]
    for frame in range(scanner.compounding_frames):
        for rows in row_blocks(shape[0]):
            first, last = rows.start, rows.stop
            label = painting.label[first:last]
            own = upsampler.rows(gain, first, last)
            swell = upsampler.rows(slow, first, last)
            wave = swell * np.take(varies, label)
            wave += 1
            np.maximum(wave, np.float32(0.2), out=wave)
            wave *= np.take(amplitude, label)
            wave *= own
            wave *= wave
            wave += upsampler.rows(background, first, last)
            wave *= np.float32(0.5)  # half of the power in each part of the complex number
            np.sqrt(wave, out=wave)
            own *= painting.specular[first:last]
            own *= np.maximum(1 + rough * swell, np.float32(0.2))
            own *= np.float32(1 / coherent_gain(spread, (first + last) // 2))
            for part, target in enumerate(echoes):
                echo = rng.standard_normal(wave.shape, dtype=np.float32)
                noise = (
                    np.roll(echo, (NOISE_SHIFT_BEAMS, NOISE_SHIFT_BEAMS), axis=(1, 2))
                    * hiss[first:last]
                )
                echo *= wave
                if part == 0:
                    echo += own
                spread_across(echo, first, spread, target[first:last])
                target[first:last] += noise
        _add_envelope(echoes, spread, work, envelope, first_frame=frame == 0)
    if scanner.compounding_frames > 1:
        envelope /= scanner.compounding_frames
    return envelope


def _add_envelope(
    echoes: list[Field], spread: PointSpread, work: Field, envelope: Field, *, first_frame: bool
) -> None:
    """Blur both parts along the beams and add their modulus to the envelope."""
    real, imaginary = echoes
    spread_along(real, spread, work)
    spread_along(imaginary, spread, real)
    for rows in row_blocks(len(work)):
        square = work[rows]
        square *= square
        other = real[rows]
        other *= other
        square += other
        np.sqrt(square, out=square)
        if first_frame:
            envelope[rows] = square
        else:
            envelope[rows] += square


def _echo_amplitude() -> Field:
    """Return the mean echo amplitude of every label number."""
    return np.asarray(10 ** (property_of_media("echo") / 20), dtype=np.float32)
