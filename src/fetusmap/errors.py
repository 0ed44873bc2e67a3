"""Every error that FetusMap raises on purpose.

Libraries raise these; only the command line prints them and chooses an exit code. The text of an
error is one line that says what was expected, what was found, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class FetusmapError(Exception):
    """Base of all errors that FetusMap raises on purpose."""


class DescribedError(FetusmapError):
    """An error that says what was expected, what was found, and what to do.

    Args:
        subject: what the error is about, such as a file or an argument.
        expected: what would have been right.
        found: what was there instead.
        remedy: what the reader can do now.
    """

    def __init__(self, subject: object, *, expected: str, found: str, remedy: str) -> None:
        self.subject = str(subject)
        self.expected = expected
        self.found = found
        self.remedy = remedy
        super().__init__(one_line(f"{subject}: expected {expected}, found {found}; {remedy}"))

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the four parts when the error crosses a process boundary."""
        return (_rebuild, (type(self), self.subject, self.expected, self.found, self.remedy))


class BadInput(DescribedError, ValueError):
    """An input cannot be used: an argument, an option, or the content of a file."""


class ResourceError(DescribedError):
    """The machine lacks a resource: memory, disk space, or a process, because it was killed."""


class UnreadableFile(BadInput):
    """A file is missing, forbidden, damaged, unsafe, or not what its name says."""


class OutOfRange(BadInput):
    """A value lies outside the range for which a chart or formula was made."""


class DegenerateAlignment(BadInput):
    """The landmarks do not determine a rotation: too few, collinear, or ambiguous."""


@contextmanager
def errors_about(subject: object) -> Iterator[None]:
    """Give errors that the block raises the subject `subject`, such as the file that was read."""
    try:
        yield
    except BadInput as error:
        if str(subject) in error.subject:
            raise
        raise type(error)(
            f"{subject}: {error.subject}",
            expected=error.expected,
            found=error.found,
            remedy=error.remedy,
        ) from error


def one_line(text: str) -> str:
    """Fold control characters and white space, so that no file content can forge a second line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _rebuild(
    kind: type[DescribedError], subject: str, expected: str, found: str, remedy: str
) -> DescribedError:
    return kind(subject, expected=expected, found=found, remedy=remedy)
