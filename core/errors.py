"""Every error a user can cause. Catch `AppError` at the edge (page, command line) and nowhere else.

AppError
|- InputError(ValueError)   a value or a file the user gave is wrong
|  |- CrsError              no coordinate system, or one in degrees where metres are needed
|  |- ExtentError           two extents do not meet, or one cannot be handled
|  `- RefusedFileError      a file of a kind, size or content that is not let in
|- TooLargeError            the work would not fit; the message holds the estimate
|- StoreError               a saved file is missing, damaged or from a newer version
|- BusyError                somebody else is writing the same study area
|- OutsideError             something outside this machine may not be asked, or does not answer
|- JobError                 a background job failed
`- StoppedError             the user stopped the work
"""

from typing import Any

from core.text import Translate, as_json, sentences


class AppError(Exception):
    """What went wrong, in one sentence, and a hint of what to do about it.

    `problem` and `hint` are marked with `core.text.N_` and hold `{names}` that `values` fills,
    so that a page can show the same error in another language.
    """

    def __init__(self, problem: str, *, hint: str = "", **values: object) -> None:
        self.problem = problem
        self.hint = hint
        self.values = values
        super().__init__(self.message())

    def message(self, translate: Translate = str) -> str:
        """Return problem and hint as one text, each passed through `translate` first."""
        return sentences(self.problem, self.hint, self.values, translate)

    def body(self) -> dict[str, Any]:
        """Return it as JSON can hold it, and as a value of another error."""
        return {"problem": self.problem, "hint": self.hint, "values": as_json(self.values)}


class InputError(AppError, ValueError):
    """A value or a file the user gave is wrong."""


class CrsError(InputError):
    """No coordinate system, or one measured in degrees where metres are needed."""


class ExtentError(InputError):
    """Two extents do not meet, or an extent cannot be handled."""


class RefusedFileError(InputError):
    """A file of a kind, size or content that is not let in."""


class TooLargeError(AppError):
    """The work would not fit in memory, on disk or in time."""


class StoreError(AppError):
    """A saved file is missing, damaged or from a newer version of the program."""


class BusyError(AppError):
    """Somebody else is writing the same study area."""


class OutsideError(AppError):
    """Something outside this machine may not be asked, does not answer, or answers wrongly."""


class JobError(AppError):
    """A background job failed."""


class StoppedError(AppError):
    """The user stopped the work; nothing was changed."""
