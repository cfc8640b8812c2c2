"""Write chips as image files, a folder a size: `patches_64/000000.png`.

Train lies in the folder itself, test below `test/`, so that whoever reads `patches_64` never
trains on test chips. `chips.csv` says where each comes from.
"""

import shutil
import uuid
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core import store
from core.chips.display import is_classes, to_pictures
from core.chips.quality import sharpness
from core.chips.sets import ChipSet
from core.cog import OnProgress, ShouldStop, stop_if, writing
from core.errors import InputError
from core.prepare import never, no_progress
from core.text import N_

Format = Literal["png", "jpeg"]
QUALITY = 95
_PIXELS_AT_ONCE = 1 << 20
_SAMPLE = 200
_KEPT_ZIPS = 8
_FILE_BYTES = 700
"""A small image takes this much beside its pixels: headers, and the end of a disk's block."""


@dataclass(frozen=True, slots=True)
class JpegEffect:
    """What JPEG does to the chips of a set, on average over a sample.

    `mean_difference` in steps of 255; `psnr_db`; `sharpness`, the variance of the Laplacian after
    over before: below 1 detail is lost, above 1 the edges of blocks were added.
    """

    quality: int
    mean_difference: float
    psnr_db: float
    sharpness: float

    def note(self) -> tuple[str, dict[str, Any]]:
        """Return what the effect means, as a template and its values."""
        return (
            N_(
                "JPEG at quality {quality} changes a pixel by {mean:.1f} of 255 (PSNR {psnr:.1f}"
                " dB) and fine detail to {sharp:.0%}. Distances between sets of images (FID, sliced"
                " Wasserstein) move with it: compare only images that were packed alike, or take"
                " PNG."
            ),
            {
                "quality": self.quality,
                "mean": self.mean_difference,
                "psnr": self.psnr_db,
                "sharp": self.sharpness,
            },
        )


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: folders and the table; and what to know of it."""

    outputs: tuple[Path, ...]
    num_files: int
    notes: tuple[tuple[str, dict[str, Any]], ...]


def export_set(
    chips: ChipSet,
    folder: Path,
    *,
    form: Format = "png",
    quality: int = QUALITY,
    sizes: Sequence[int] | None = None,
    split: str | None = None,
    bands: Sequence[str | int] | None = None,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never,
) -> Exported:
    """Write chips as PNG or JPEG; nothing is there until all of it is.

    Args:
        chips: The set.
        folder: Where `patches_<size>` and `chips.csv` go; made where it is missing.
        form: `png` keeps every pixel of the channels that are shown; `jpeg` does not.
        quality: Of JPEG, 1 to 95.
        sizes: Which of the pyramid; None: all.
        split: `train` or `test`; None: both.
        bands: Names or numbers of one channel or three; None: see `display.shown_channels`.
        on_progress: Called with a share from 0 to 1 and a word on what is done.
        should_stop: Asked often; True ends the work, and nothing is left of it.

    Raises:
        InputError: No such size, split or channel, a quality out of range, classes as JPEG, or the
            folder holds such an export already.
        TooLargeError: It would not fit on the disk.
        StoppedError: `should_stop` said so.
    """
    _check(chips, form, quality)
    wanted = tuple(sizes or chips.info.sizes)
    for size in wanted:
        chips.pixels(size)
    index = chips.indices(split)
    parts = _parts(chips, index, split)
    names = [name for prefix, _ in parts for size in wanted for name in [f"{prefix}patches_{size}"]]
    _check_free(folder, [*names, "chips.csv"])
    pixels = sum(size**2 for size in wanted)
    store.require_space(
        folder, len(index) * (3 * pixels + _FILE_BYTES * len(wanted)), what=N_("The export")
    )
    scratch = folder / f".tmp-{uuid.uuid4().hex[:12]}"
    done = 0
    try:
        with writing(folder.name or "export"):
            for prefix, members in parts:
                for size in wanted:
                    target = scratch / f"{prefix}patches_{size}"
                    target.mkdir(parents=True)
                    at_once = max(1, _PIXELS_AT_ONCE // size**2)
                    for first in range(0, len(members), at_once):
                        stop_if(should_stop, chips.info.id)
                        some = members[first : first + at_once]
                        _save(chips, some, size, target, form, quality, bands)
                        done += len(some)
                        share = done / (len(index) * len(wanted))
                        on_progress(0.98 * share, N_("Writing images"))
            _write_list(chips, parts, form, scratch / "chips.csv")
            outputs = tuple(_moved(scratch / name, folder / name) for name in [*names, "chips.csv"])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    notes = (jpeg_effect(chips, quality, bands=bands).note(),) if form == "jpeg" else ()
    return Exported(outputs, done, notes)


def export_zip(
    chips: ChipSet,
    root: Path,
    *,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never,
    **options: Any,
) -> Exported:
    """Write chips as `export_set` does, into one zip below `exports/` of a workspace.

    The newest few are kept. `options` are those of `export_set`.

    Raises:
        AppError: What `export_set` raises.
    """
    folder = root / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f".tmp-{uuid.uuid4().hex[:12]}"
    try:
        done = export_set(
            chips,
            scratch,
            **options,
            on_progress=lambda share, text, /, **more: on_progress(0.8 * share, text, **more),
            should_stop=should_stop,
        )
        written = sum(path.stat().st_size for path in scratch.rglob("*") if path.is_file())
        store.require_space(folder, written, what=N_("The export"))
        stamp = datetime.now(UTC).strftime("%Y%m%dt%H%M%S")
        target = folder / f"{chips.info.id}-{stamp}.zip"
        with store.atomic_path(target) as tmp:
            _zip(scratch, tmp, done.num_files, chips.info.id, on_progress, should_stop)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for old in sorted(folder.glob("*.zip"), key=lambda path: path.stat().st_mtime)[:-_KEPT_ZIPS]:
        old.unlink(missing_ok=True)
    return Exported((target,), done.num_files, done.notes)


def zips_of(root: Path, set_id: str) -> list[Path]:
    """Return the zips of a set that `export_zip` wrote, the newest first."""
    stamp = "[0-9]" * 8 + "t" + "[0-9]" * 6
    found = (root / "exports").glob(f"{set_id}-{stamp}.zip")
    return sorted(found, key=lambda path: path.name, reverse=True)


def _zip(
    folder: Path,
    target: Path,
    count: int,
    name: str,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> None:
    # PNG and JPEG are packed already.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
            if number % 256 == 0:
                stop_if(should_stop, name)
                on_progress(0.8 + 0.2 * min(1.0, number / count), N_("Packing"))
            archive.write(path, path.relative_to(folder).as_posix())


def jpeg_effect(
    chips: ChipSet, quality: int = QUALITY, *, bands: Sequence[str | int] | None = None
) -> JpegEffect:
    """Measure what JPEG does to chips at their own size, over at most 200 of them."""
    import io

    count = len(chips)
    some = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
    pictures = to_pictures(chips.read(some), chips.info.channels, bands)
    packed = np.empty_like(pictures)
    for number, picture in enumerate(pictures):
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "JPEG", quality=quality)
        with Image.open(stream) as image:
            packed[number] = np.asarray(image)
    off = packed.astype(np.float64) - pictures
    square = float((off**2).mean())
    before, after = (float(sharpness(_planes(each)).mean()) for each in (pictures, packed))
    return JpegEffect(
        quality=quality,
        mean_difference=float(np.abs(off).mean()),
        psnr_db=float(10 * np.log10(255**2 / square)) if square else float("inf"),
        sharpness=after / before if before else 1.0,
    )


def _planes(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pictures (n, s, s[, 3]) as chips (n, C, s, s)."""
    return pictures[:, None] if pictures.ndim == 3 else np.moveaxis(pictures, 3, 1)


def _check(chips: ChipSet, form: Format, quality: int) -> None:
    if form == "jpeg" and is_classes(chips.info.channels):
        raise InputError(
            N_("Classes cannot be kept in JPEG: it would smear their edges into other classes."),
            hint=N_("Take PNG."),
        )
    if not 1 <= quality <= QUALITY:
        raise InputError(
            N_("The quality of JPEG goes from 1 to 95, not {quality}."), quality=quality
        )


def _parts(
    chips: ChipSet, index: NDArray[np.int64], split: str | None
) -> list[tuple[str, NDArray[np.int64]]]:
    """Return folder prefix and chips of each split."""
    if split is not None:
        return [("", index)]
    found = []
    for name, prefix in (("train", ""), ("test", "test/")):
        if name in chips.info.splits:
            found.append((prefix, chips.indices(name)))
    return found


def _check_free(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        if (folder / name).exists():
            raise InputError(
                N_("{folder} holds {name} already."),
                hint=N_("Choose another folder, or remove it first."),
                folder=folder.name,
                name=name,
            )


def _save(
    chips: ChipSet,
    index: NDArray[np.int64],
    size: int,
    target: Path,
    form: Format,
    quality: int,
    bands: Sequence[str | int] | None,
) -> None:
    pictures = to_pictures(chips.read(index, size), chips.info.channels, bands)
    options: dict[str, Any] = {"quality": quality} if form == "jpeg" else {}
    for number, picture in zip(index, pictures, strict=True):
        Image.fromarray(picture).save(
            target / _file_name(int(number), form), form.upper(), **options
        )


def _file_name(number: int, form: Format) -> str:
    return f"{number:06d}.{'png' if form == 'png' else 'jpg'}"


def _write_list(
    chips: ChipSet, parts: list[tuple[str, NDArray[np.int64]]], form: Format, path: Path
) -> None:
    table = chips.table.drop(columns="geometry", errors="ignore")
    members = np.concatenate([index for _, index in parts])
    listed = table.iloc[members].copy()
    listed.insert(0, "file", [_file_name(int(number), form) for number in members])
    listed.to_csv(path, index_label="chip")


def _moved(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return source.rename(target)
