"""What commands share: the workspace they work in, and their progress on the terminal."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.settings import settings
from core.text import N_

if TYPE_CHECKING:
    from core.workspace import Workspace

Handler = Callable[[argparse.Namespace], dict[str, Any]]


def lazily(module: str, name: str) -> Handler:
    """Return a handler that is imported when it is called: arguments alone are quick to read."""

    def handle(args: argparse.Namespace) -> dict[str, Any]:
        found: dict[str, Any] = getattr(import_module(module), name)(args)
        return found

    return handle


def workspace() -> "Workspace":
    """Return the workspace that the settings name."""
    from core.workspace import Workspace

    return Workspace(settings().workspace)


def progress_line(*, quiet: bool) -> Callable[[float, str], None]:
    """Return a report of progress that rewrites one line of a terminal, if there is one."""

    def show(share: float, text: str) -> None:
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r{share:4.0%} {text:60}")
            sys.stderr.flush()

    return show


def four_numbers(text: str) -> tuple[float, float, float, float]:
    """Read `west,south,east,north` in degrees.

    Raises:
        InputError: It is something else.
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            N_("{text!r} is no rectangle."),
            hint=N_("Give west,south,east,north in degrees: -87.7,41.8,-87.6,41.9"),
            text=text[:80],
        ) from None
    return west, south, east, north
