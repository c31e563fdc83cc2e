"""Reporting checklists, filled in as far as a record goes.

The items are told in our own words and numbered as in their sources: CLAIM (Mongan, Moy and Kahn, Radiology: Artificial
Intelligence 2(2), 2020), the ten principles of Good Machine Learning Practice (FDA, Health Canada and MHRA, 2021), and
Metrics Reloaded (Maier-Hein, Reinke et al., Nature Methods 21, 2024), whose questions have no numbers. Nothing is
ticked that was not recorded; what a record cannot know is left to people, and says so.
"""

from pipeline.report.checklist.item import ChecklistItem, Mark
from pipeline.report.checklist.page import checklist, checklist_items

__all__ = ["ChecklistItem", "Mark", "checklist", "checklist_items"]
