"""What StyleGAN.pytorch left behind: its log, its sample sheets, its files of weights.

<run>/models/GAN_GEN_<depth>_<epoch>.pth, GAN_GEN_SHADOW_…, GAN_DIS_…
      samples/gen_<depth>_<epoch>_<batch>.png
      logs/*.log: lines "Elapsed: [0:01:02] Step: 3  Batch: 5  D_Loss: 1.2  G_Loss: 0.8"
"""

import itertools
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core import store
from core.errors import InputError
from core.text import N_
from models.config import Row
from models.scales import by_quarter

_NUMBER = r"[-+]?(?:\d{1,30}(?:\.\d{1,30})?(?:[eE][-+]?\d{1,3})?|nan|inf)"
_LINE = re.compile(
    r"Elapsed:?\s*\[(?:(?P<days>\d{1,4}) days?, )?"
    r"(?P<h>\d{1,4}):(?P<m>\d\d):(?P<s>\d\d)(?:\.\d+)?\]\s+"
    r"Step:\s*(?P<step>\d{1,12})\s+Batch:\s*(?P<batch>\d{1,12})\s+"
    rf"D_Loss:\s*(?P<critic>{_NUMBER})\s+G_Loss:\s*(?P<generator>{_NUMBER})"
)
_DEPTH = re.compile(r"[Cc]urrently working on depth:?\s*([1-9]|1\d)\b")
_EPOCH = re.compile(r"Epoch:?\s*\[?\s*(\d{1,7})\b")
_SAMPLE = re.compile(r"gen_(1?\d)_(\d{1,7})_(\d{1,12})\.png")
_WEIGHTS = re.compile(r"GAN_(GEN_SHADOW|GEN|DIS)_(1?\d)_(\d{1,7})\.pth")
_MOST_FILES = 100_000
_MOST_FOLDERS = 200
_LARGEST_LOG = 1 << 24
_INSIDE = {"samples", "models", "logs"}


@dataclass(frozen=True, slots=True, order=True)
class OldSample:
    """A sheet of samples. Its depth counts from 0, though the log counts from 1."""

    depth: int
    epoch: int
    batch: int
    path: Path


@dataclass(frozen=True, slots=True, order=True)
class OldWeights:
    """A file of weights: `GEN`, `GEN_SHADOW` (the moving average) or `DIS`."""

    depth: int
    epoch: int
    part: str
    path: Path


@dataclass(frozen=True, slots=True)
class OldStyleRun:
    """What a folder holds, in order of depth and epoch."""

    samples: tuple[OldSample, ...]
    weights: tuple[OldWeights, ...]
    rows: tuple[Row, ...]


def is_style_log(text: str) -> bool:
    """Tell whether a text holds a line of StyleGAN.pytorch's log."""
    return _LINE.search(text) is not None


def read_style_log(text: str) -> list[Row]:
    """Read the lines that StyleGAN.pytorch prints while it trains, pasted or saved, as rows.

    Lines that are none are passed over; "Currently working on depth: 3" says depth 2, counted from
    0 as everywhere else. Losses that are no numbers are left out of their row.

    Returns:
        One row a line with `step`, `batch`, `seconds` (since the start), `critic`, `generator`, and
        `depth` and `epoch` (from 0) where the text tells them.

    Raises:
        InputError: There is no such line.
    """
    rows: list[Row] = []
    place: dict[str, int] = {}
    for line in text.splitlines():
        if found := _DEPTH.search(line):
            place = {"depth": int(found[1]) - 1}
        elif (found := _EPOCH.search(line)) and "Elapsed" not in line:
            place["epoch"] = int(found[1]) - 1
        elif found := _LINE.search(line):
            days = int(found["days"] or 0)
            hours, minutes, seconds = (int(found[name]) for name in "hms")
            row: Row = {
                "step": int(found["step"]), "batch": int(found["batch"]), **place,
                "seconds": 86_400 * days + 3600 * hours + 60 * minutes + seconds,
            }  # fmt: skip
            for name in ("critic", "generator"):
                if math.isfinite(float(found[name])):
                    row[name] = float(found[name])
            rows.append(row)
    if not rows:
        raise InputError(
            N_("There is no line of a StyleGAN's log in this text."),
            hint=N_('They read "Elapsed: [0:01:02] Step: 3  Batch: 5  D_Loss: 1.2  G_Loss: 0.8".'),
        )
    return rows


def old_style_run(folder: Path) -> OldStyleRun:
    """Find samples, weights and log lines in a folder of StyleGAN.pytorch and those below it.

    Links that lead out of the folder are passed over.

    Raises:
        InputError: There is no such folder, or nothing of the kind in it.
    """
    if not folder.is_dir():
        raise InputError(N_("There is no folder {path}."), path=str(folder)[:200])
    samples, weights, rows = [], [], list[Row]()
    room = _LARGEST_LOG  # of all logs together
    for path in _files(folder):
        if not path.is_file() or not _lies_in(folder, path):
            continue
        if found := _SAMPLE.fullmatch(path.name):
            samples.append(OldSample(int(found[1]), int(found[2]), int(found[3]), path))
        elif found := _WEIGHTS.fullmatch(path.name):
            weights.append(OldWeights(int(found[2]), int(found[3]), found[1], path))
        elif path.suffix in {".log", ".txt"} and (size := path.stat().st_size) <= room:
            room -= size
            text = path.read_text(encoding="utf-8", errors="replace")
            rows += read_style_log(text) if is_style_log(text) else []
    if not samples and not weights and not rows:
        raise InputError(
            N_("{name} holds no samples, weights or log of a StyleGAN."), name=folder.name
        )
    return OldStyleRun(tuple(sorted(samples)), tuple(sorted(weights)), tuple(rows))


def style_folders(root: Path) -> list[str]:
    """List folders below `root` that hold samples or weights of a StyleGAN, in order, at most 200.

    Of a run its own folder, not those of its samples and models. Links are not followed and hidden
    folders are left out.
    """
    found: dict[str, None] = {}
    seen = 0
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        seen += len(names)
        if seen > _MOST_FILES or len(found) >= _MOST_FOLDERS:
            break
        if any(_SAMPLE.fullmatch(name) or _WEIGHTS.fullmatch(name) for name in names):
            path = Path(place)
            own = path.parent if path.name in _INSIDE and path != root else path
            found[own.relative_to(root).as_posix()] = None
    return list(found)


def by_depth(samples: Iterable[OldSample]) -> dict[int, list[OldSample | None]]:
    """Return the sheets of each depth at the quarters of its epochs; None where there is none.

    Of an epoch its last sheet. As many epochs as the depth has sheets of are all of them.
    """
    last: dict[int, dict[int, OldSample]] = {}
    for one in sorted(samples):
        last.setdefault(one.depth, {})[one.epoch] = one
    return {
        depth: [None if at is None else found[at] for at in by_quarter(found, 0, max(found))]
        for depth, found in sorted(last.items())
        if max(found) > 0
    }


def _files(folder: Path) -> list[Path]:
    """Return what lies in a folder and those below it, in order; no more than is bearable."""
    return sorted(itertools.islice(folder.rglob("*"), _MOST_FILES))


def _lies_in(folder: Path, path: Path) -> bool:
    try:
        store.inside(folder, str(path.relative_to(folder)))
    except InputError:
        return False
    return True
