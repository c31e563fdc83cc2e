"""OHIF's pages as an annotator uses them, and what they show."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from chromium import Chromium

__all__ = ["connect", "open_study", "segment", "shown_labels"]

HIDE_NOTICE = "[...document.querySelectorAll('button')].find(e => e.innerText.includes('Confirm'))?.click()"
CONNECT = "document.querySelector('.settingsTable button').click()"
CHOOSE = """(name => {
  const lists = [...document.querySelectorAll('.tab-content select')];
  const list = lists.find(e => [...e.options].some(o => o.value === name));
  Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, 'value').set.call(list, name);
  list.dispatchEvent(new Event('change', {bubbles: true}));
})"""
RUN = "document.querySelector('.tab-content button[title=\"Run Segmentation\"]').click()"
# The volume of labels, its place in space, and its voxels, x fastest, as runs of one value.
LABELS = """(() => {
  const volume = window.services.segmentationService.getLabelmapVolume('1');
  const values = volume.voxelManager.getCompleteScalarDataArray();
  const runs = [];
  for (let i = 0, from = 0; i < values.length; i++) {
    if (i + 1 === values.length || values[i + 1] !== values[i]) { runs.push([values[i], i + 1 - from]); from = i + 1; }
  }
  return JSON.stringify({shape: [...volume.dimensions], origin: [...volume.origin], spacing: [...volume.spacing],
                         direction: [...volume.direction], runs});
})()"""


def open_study(browser: Chromium, server: str, study: str, *texts: str, mode: str = "monai-label") -> None:
    """Open a study in one of OHIF's modes and wait until these texts stand on the page."""
    browser.open(f"{server}/ohif/{mode}?StudyInstanceUIDs={study}", *texts)
    browser.evaluate(HIDE_NOTICE)
    time.sleep(2)


def connect(browser: Chromium) -> None:
    """Press the one button of the panel, with the address that stands in it."""
    browser.evaluate(CONNECT)
    browser.wait("Auto-Segmentation")
    time.sleep(2)  # the volume of labels is made after the panel


def segment(browser: Chromium, model: str, limit_s: float = 300) -> None:
    """Choose a model and run it on what is open."""
    browser.evaluate(f"{CHOOSE}({json.dumps(model)})")
    time.sleep(0.5)
    browser.evaluate(RUN)
    browser.wait("Running Segmentation - Successful", limit_s=limit_s)


def shown_labels(browser: Chromium) -> tuple[np.ndarray, np.ndarray]:
    """What OHIF shows as labels: values, (X, Y, Z), and the affine of their voxels, mm, DICOM's axes (LPS)."""
    found: dict[str, Any] = json.loads(browser.evaluate(LABELS))
    values = np.concatenate([np.full(count, value, np.uint8) for value, count in found["runs"]])
    affine = np.eye(4)
    # Each row is the direction of an axis.
    affine[:3, :3] = np.reshape(found["direction"], (3, 3)).T * found["spacing"]
    affine[:3, 3] = found["origin"]
    return values.reshape(found["shape"], order="F"), affine
