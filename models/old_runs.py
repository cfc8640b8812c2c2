"""What StyleGAN.pytorch left behind: its log, its sample sheets, its files of weights.

<run>/models/GAN_GEN_<depth>_<epoch>.pth, GAN_GEN_SHADOW_…, GAN_DIS_…
      samples/gen_<depth>_<epoch>_<batch>.png
      logs/*.log: lines "Elapsed: [0:01:02] Step: 3  Batch: 5  D_Loss: 1.2  G_Loss: 0.8"
"""

import re
from dataclasses import dataclass
from pathlib import Path

from core import store
from core.errors import InputError
from core.text import N_
from models.config import Row

_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|nan|inf)"
_LINE = re.compile(
    rf"Elapsed:?\s*\[(?:(?P<days>\d+) days?, )?(?P<h>\d+):(?P<m>\d\d):(?P<s>\d\d)(?:\.\d+)?\]\s+"
    rf"Step:\s*(?P<step>\d+)\s+Batch:\s*(?P<batch>\d+)\s+"
    rf"D_Loss:\s*(?P<critic>{_NUMBER})\s+G_Loss:\s*(?P<generator>{_NUMBER})"
)
_DEPTH = re.compile(r"[Cc]urrently working on depth:?\s*(\d+)")
_EPOCH = re.compile(r"Epoch:?\s*\[?\s*(\d+)")
_SAMPLE = re.compile(r"gen_(\d+)_(\d+)_(\d+)\.png")
_WEIGHTS = re.compile(r"GAN_(GEN_SHADOW|GEN|DIS)_(\d+)_(\d+)\.pth")
_MOST_FILES = 100_000


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
                if found[name] not in {"nan", "inf", "-inf", "+inf"}:
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
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if number >= _MOST_FILES or not path.is_file() or not _lies_in(folder, path):
            continue
        if found := _SAMPLE.fullmatch(path.name):
            samples.append(OldSample(int(found[1]), int(found[2]), int(found[3]), path))
        elif found := _WEIGHTS.fullmatch(path.name):
            weights.append(OldWeights(int(found[2]), int(found[3]), found[1], path))
        elif path.suffix in {".log", ".txt"} and path.stat().st_size < 1 << 27:
            text = path.read_text(encoding="utf-8", errors="replace")
            rows += read_style_log(text) if _LINE.search(text) else []
    if not samples and not weights and not rows:
        raise InputError(
            N_("{name} holds no samples, weights or log of a StyleGAN."), name=folder.name
        )
    return OldStyleRun(tuple(sorted(samples)), tuple(sorted(weights)), tuple(rows))


def _lies_in(folder: Path, path: Path) -> bool:
    try:
        store.inside(folder, str(path.relative_to(folder)))
    except InputError:
        return False
    return True
