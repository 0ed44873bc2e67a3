"""Age of gestation from the dates of a DICOM file, read only if somebody asks for it."""

from __future__ import annotations

import datetime
from pathlib import Path

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import open_regular, read_head, size_of
from fetusmap.io.sandbox.dicom import describe_instances
from fetusmap.io.volumes import dicom
from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits

MAX_AGE_DAYS = 310


def gestational_age_days(path: str | Path, limits: ReadLimits = DEFAULT_LIMITS) -> int:
    """Return the days from the last menstrual period to the examination, as a DICOM file states.

    The dates themselves are not passed on.

    Raises:
        UnreadableFile: the file is not DICOM, has no such dates, or dates that make no sense.
    """
    path = Path(path)
    if not dicom.recognise(read_head(path, 132)):
        raise UnreadableFile(
            path,
            expected="a DICOM file, which may state the last menstrual period",
            found="another format",
            remedy="give the age in a table",
        )
    with open_regular(path, follow_links=limits.follow_links) as file:
        instances = [(0, size_of(file))]
        (described,) = describe_instances(file, instances, path, limits, age=True)
    period, study = (_date(described["tags"].get(w)) for w in ("LastMenstrualDate", "StudyDate"))
    days = (study - period).days if period and study else None
    if days is None or not 0 <= days <= MAX_AGE_DAYS:
        raise UnreadableFile(
            path,
            expected="a last menstrual period, and an examination within 310 days after it",
            found="none" if days is None else f"{days} days",
            remedy="give the age in a table",
        )
    return days


def _date(text: object) -> datetime.date | None:
    try:
        return datetime.datetime.strptime(str(text), "%Y%m%d").replace(tzinfo=datetime.UTC).date()
    except ValueError:
        return None
