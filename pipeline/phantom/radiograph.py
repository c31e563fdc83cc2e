"""Radiographs of the phantom: parallel-beam line integrals, Beer–Lambert, scatter, noise, processing, collimation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.parts import Label
from pipeline.phantom.quadrics import Array, rotation
from pipeline.phantom.thorax import RAS_TO_LPS, Thorax

__all__ = ["FILM_LABELS", "FilmSettings", "Radiograph", "draw_film", "expose", "radiograph"]

# Class indices of the masks of a film; the lungs have the indices that they have in CT.
FILM_LABELS = {0: "background", 1: "right lung", 2: "left lung", 3: "heart and mediastinum"}
TEXT = "PHANTOM"


@dataclass(frozen=True)
class FilmSettings:
    """How one film is taken. Lengths in mm, angles in degrees."""

    shape: tuple[int, int]  # columns, rows
    spacing_mm: float
    centre_mm: tuple[float, float]  # the film's centre, to the left and upwards of the phantom's origin
    turn_deg: tuple[float, float, float]  # leaning forwards, in the film's plane, about the long axis
    attenuation_per_mm: float  # of water
    photons: float  # for each pixel in the open beam
    scatter_fraction: float
    scatter_mm: float
    compression: float  # share of the slow variation that the processing takes out
    gamma: float
    window: tuple[float, float]  # percentiles of the exposed body that become black and white
    collimation_mm: tuple[float, float, float, float]  # from the left, right, upper and lower edge
    collimation_deg: float
    border: int  # grey of the unexposed border
    marker: str  # "L", "R" or none
    marker_at: tuple[float, float]  # from the marker's own side and from the top, shares of the film
    text_corner: tuple[int, int]
    photometric: str  # as stored in DICOM; arrays here always show bone white


@dataclass(frozen=True)
class Radiograph:
    """One film and its ground truth; all arrays indexed [column, row].

    Attributes:
        image: Bone white, air black, uint8, shape (W, H).
        labels: Class indices of `FILM_LABELS`; lungs as the lung fields outside the shadows of the heart, the
            mediastinum and the diaphragm's domes, within the collimated area. Shape (W, H).
        water_mm: The exact line integrals in mm of water, shape (W, H).
        affine: From (column, row, mm along the beam) to RAS+ mm, shape (4, 4).
        settings: How it was taken.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    water_mm: Array
    affine: Array
    settings: FilmSettings


def radiograph(body: Thorax, *, seed: int | list[int] = 0, size: int = 256, text: str = TEXT) -> Radiograph:
    """A film of a phantom with settings drawn from a seed.

    Args:
        body: The phantom.
        seed: Any seed of `numpy.random.default_rng`.
        size: Pixels along the longer side.
        text: Burned into a corner.
    """
    rng = np.random.default_rng(seed)
    return expose(body, draw_film(rng, size), rng, text=text)


def draw_film(rng: np.random.Generator, size: int) -> FilmSettings:
    """Draw position, exposure, processing and annotation of one film; `size` is the longer side in pixels."""
    sides_mm = np.array([rng.uniform(335, 420), rng.uniform(345, 430)])
    spacing = round(float(sides_mm.max()) / size, 4)
    columns, rows = (int(n) for n in np.minimum(np.round(sides_mm / spacing), size))
    collimated = rng.random(4) < 0.4
    return FilmSettings(
        shape=(columns, rows),
        spacing_mm=spacing,
        centre_mm=(rng.normal(0, 7), rng.normal(-6, 8)),
        turn_deg=(rng.normal(0, 3.0), rng.normal(0, 3.0), rng.normal(0, 3.0)),
        attenuation_per_mm=rng.uniform(0.0165, 0.0200),
        photons=float(np.exp(rng.uniform(np.log(1e4), np.log(1.5e5)))) * (spacing / 1.5) ** 2,
        scatter_fraction=rng.uniform(0.12, 0.40),
        scatter_mm=rng.uniform(30, 55),
        compression=rng.uniform(0.20, 0.55),
        gamma=float(np.exp(rng.normal(0.0, 0.18))),
        window=(rng.uniform(1.0, 8.0), rng.uniform(97.0, 99.7)),
        collimation_mm=tuple((rng.uniform(3, 26, size=4) * collimated).tolist()),
        collimation_deg=rng.normal(0, 0.7),
        border=int(rng.choice([0, 8, 255], p=[0.6, 0.25, 0.15])),
        marker=str(rng.choice(["L", "R", ""], p=[0.4, 0.45, 0.15])),
        marker_at=(rng.uniform(0.05, 0.12), rng.uniform(0.05, 0.30)),
        text_corner=(int(rng.integers(2)), int(rng.integers(2))),
        photometric=str(rng.choice(["MONOCHROME1", "MONOCHROME2"])),
    )


def film_affine(settings: FilmSettings) -> Array:
    """From (column, row, mm along the posterior–anterior beam) to RAS+ mm, shape (4, 4)."""
    pitch, roll, yaw = settings.turn_deg
    axes = rotation(pitch, roll, yaw) @ np.array([[1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]])
    left, up = settings.centre_mm
    middle = (np.array(settings.shape) - 1) / 2 * settings.spacing_mm
    to_lps = np.eye(4)
    to_lps[:3, :3] = axes @ np.diag([settings.spacing_mm, settings.spacing_mm, 1.0])
    to_lps[:3, 3] = axes @ (left - middle[0], -up - middle[1], 0.0)
    return RAS_TO_LPS @ to_lps


def expose(body: Thorax, settings: FilmSettings, rng: np.random.Generator, *, text: str = TEXT) -> Radiograph:
    """Take one film.

    Args:
        body: The phantom.
        settings: Position, exposure, processing.
        rng: For the quantum noise.
        text: Burned into a corner.
    """
    affine = film_affine(settings)
    water_mm, shadows = body.project(settings.shape, affine)
    open_field = _collimated(settings)
    labels = np.zeros(settings.shape, np.uint8)
    centre = shadows[Label.HEART] | shadows[Label.MEDIASTINUM]
    field = open_field & ~shadows[Label.ABDOMEN]
    labels[centre & field] = 3
    field &= ~centre
    labels[shadows[Label.RIGHT_LUNG] & field] = 1
    labels[shadows[Label.LEFT_LUNG] & field] = 2
    density = _detect(water_mm, settings, rng)
    image = _develop(density, open_field, shadows[Label.BODY], settings)
    return Radiograph(_annotate(image, settings, text), labels, water_mm, affine, settings)


def _collimated(settings: FilmSettings) -> NDArray[np.bool_]:
    """The area that the collimator's four blades leave open."""
    columns, rows = settings.shape
    x, y = np.ogrid[:columns, :rows]
    u, v = (x - (columns - 1) / 2) * settings.spacing_mm, (y - (rows - 1) / 2) * settings.spacing_mm
    angle = np.radians(settings.collimation_deg)
    across, down = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    half = columns * settings.spacing_mm / 2, rows * settings.spacing_mm / 2
    # A blade that is not in the beam stands far outside, so that a turned collimator leaves no wedge.
    left, right, upper, lower = (mm if mm else -100.0 for mm in settings.collimation_mm)
    open_field: NDArray[np.bool_] = (
        (across > left - half[0]) & (across < half[0] - right) & (down > upper - half[1]) & (down < half[1] - lower)
    )
    return open_field


def _detect(water_mm: Array, settings: FilmSettings, rng: np.random.Generator) -> Array:
    """Optical-density-like signal, −log of the detected intensity, with scatter and quantum noise."""
    from scipy.ndimage import gaussian_filter

    primary = np.exp(-settings.attenuation_per_mm * np.maximum(water_mm, 0.0))
    scatter = _slow(primary, settings.scatter_mm / settings.spacing_mm)
    share = settings.scatter_fraction
    photons = settings.photons * (primary + share / (1 - share) * scatter)
    photons += np.sqrt(photons) * rng.standard_normal(photons.shape)
    detected = gaussian_filter(np.maximum(photons, 1.0), 0.45, mode="nearest")
    density: Array = -np.log(detected / settings.photons)
    return density


def _develop(
    density: Array, open_field: NDArray[np.bool_], body: NDArray[np.bool_], settings: FilmSettings
) -> NDArray[np.uint8]:
    """The processing of a digital system: dynamic-range compression, window, gamma; and the collimator's border."""
    density = density - settings.compression * _slow(density, 30.0 / settings.spacing_mm)
    black, white = np.percentile(density[open_field & body], settings.window)
    grey = np.clip((density - black) / (white - black), 0.0, 1.0) ** settings.gamma
    image = np.round(grey * 255).astype(np.uint8)
    image[~open_field] = settings.border
    return image


def _slow(picture: Array, sigma: float) -> Array:
    """A wide Gaussian blur, made on a coarse grid: it is smooth enough for that, and so forty times faster."""
    from scipy.ndimage import gaussian_filter, zoom

    step = max(int(sigma // 4), 1)
    columns, rows = picture.shape
    padded = np.pad(picture, ((0, -columns % step), (0, -rows % step)), mode="edge")
    coarse = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).mean(axis=(1, 3))
    coarse = gaussian_filter(coarse, sigma / step, mode="nearest")
    fine: Array = zoom(coarse, step, order=1, mode="nearest", grid_mode=True)[:columns, :rows]
    return fine


def _annotate(image: NDArray[np.uint8], settings: FilmSettings, text: str) -> NDArray[np.uint8]:
    """Burn in the side marker and the text that says what this is."""
    from PIL import Image, ImageDraw, ImageFont

    columns, rows = settings.shape
    picture = Image.fromarray(np.ascontiguousarray(image.T))
    draw = ImageDraw.Draw(picture)

    def write(words: str, x: float, y: float, height: float) -> None:
        font = ImageFont.load_default(size=height)
        _, _, right, bottom = draw.textbbox((0, 0), words, font=font)
        x, y = min(max(x, 2), columns - right - 2), min(max(y, 2), rows - bottom - 2)
        draw.text((x, y), words, font=font, fill=255, stroke_width=1, stroke_fill=0)

    if settings.marker:
        share = settings.marker_at[0]
        x = (share if settings.marker == "R" else 1 - share) * columns
        write(settings.marker, x, settings.marker_at[1] * rows, 0.055 * rows)
    right, bottom = settings.text_corner
    write(text, right * columns, bottom * rows, max(0.032 * rows, 8.0))
    return np.ascontiguousarray(np.asarray(picture).T)
