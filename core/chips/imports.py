"""Take in sets that others made: folders of images, and MNIST's IDX files.

    DIR/*.jpg                          images (CelebA)
    DIR/<class>/*.jpg                  a folder a class (EuroSAT)
    DIR/train/…, DIR/test/…            either of them, already split
    DIR/patches_64/*.jpg, DIR/…_512    a pyramid, as the document's and `core.chips.export`: its
                                       largest size is taken, the others are averaged anew
    DIR/*-images-idx3-ubyte[.gz]       digits, with their labels beside them
    any of the first four as a zip

Images without a place cannot be split by place; they are for training unless their folder says
otherwise. Links are followed inside the folder only.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import store
from core.archives import unpack_images
from core.chips import idx
from core.chips.folders import Image, is_split, list_images, within
from core.chips.material import image_channels
from core.chips.options import CutOptions, pack_bytes
from core.chips.pack import PackWriter
from core.chips.pictures import SUFFIXES, read_picture
from core.chips.pyramid import area_mean, pyramid, pyramid_sizes, to_whole
from core.chips.sets import ChipSets, SetInfo, split_counts
from core.chips.tables import write_table
from core.cog import OnProgress, ShouldStop, stop_if, writing
from core.errors import InputError, RefusedFileError
from core.prepare import never, no_progress
from core.record import code_version
from core.settings import settings
from core.text import N_
from core.workspace import Workspace, now

_AT_ONCE = 256
_LONGEST_S = 0.3
_MOST_NAMED = 3
_MOST_LABELS = 10_000


@dataclass(frozen=True, slots=True)
class _Making:
    """Where a set is being made."""

    set_id: str
    folder: Path
    is_replaced: bool


@dataclass(slots=True)
class _Told:
    """What happened to images on the way."""

    unread: dict[str, list[str]] = field(default_factory=dict)
    """Names of images that could not be read, by the reason; some of each."""
    num_unread: Counter[str] = field(default_factory=Counter)
    smaller: int = 0
    cropped: int = 0
    recoloured: int = 0
    jpeg: int = 0
    others: int = 0

    def notes(self, size_px: int) -> list[tuple[str, dict[str, Any]]]:
        """Return sentences on what was not zero."""
        found: list[tuple[str, dict[str, Any]]] = []
        for reason, names in self.unread.items():
            count = self.num_unread[reason]
            some = "; ".join([*names, "…"] if count > len(names) else names)
            found.append(
                (
                    N_("Images left out: {count:,} ({reason}): {names}"),
                    {"count": count, "reason": reason, "names": some},
                )
            )
        for count, text in (
            (self.smaller, N_("Images left out: {count:,} (smaller than {size} px)")),
            (self.cropped, N_("Images that are not square: {count:,}. Their middle was taken.")),
            (self.recoloured, N_("Grey images among coloured ones, or the reverse: {count:,}")),
            (self.others, N_("Files left out: {count:,} (no PNG or JPEG)")),
            (
                self.jpeg,
                N_(
                    "JPEG images: {count:,}. Blocks and lost detail are in them and a model learns"
                    " them. Compare generated images with images that were packed alike."
                ),
            ),
        ):
            if count:
                found.append((text, {"count": count, "size": size_px}))
        return found

    @property
    def left_out(self) -> int:
        """Return how many images did not come in."""
        return self.smaller + self.num_unread.total()


def import_set(
    workspace: Workspace,
    set_id: str,
    source: Path,
    *,
    size_px: int | None = None,
    labels: Path | None = None,
    is_replaced: bool = False,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never,
) -> SetInfo:
    """Take in a folder of images or an IDX file as a set.

    Args:
        workspace: Where the set goes.
        set_id: Its name.
        source: A folder, a zip of one, or an IDX file.
        size_px: Side of the chips; larger images are averaged down, smaller ones left out. None:
            the shorter side of the first image.
        labels: IDX file of labels; None takes the one beside the images.
        is_replaced: Whether a set of that name may be replaced.
        on_progress: Called with a share from 0 to 1 and a word on what is done.
        should_stop: Asked often; True ends the work and changes nothing.

    Raises:
        InputError: The name is taken, there is no such folder or file, or no image in it.
        RefusedFileError: A link leads out of the folder, or a file is not what it should be.
        TooLargeError: It would not fit on the disk.
        StoppedError: `should_stop` said so.
    """
    if size_px is not None:
        CutOptions(size_px=size_px)  # checks the range
    sets = ChipSets(workspace.root)
    sets.check_free(set_id, is_replaced=is_replaced)
    told = _Told()
    folder = workspace.scratch()
    is_numbered = False
    try:
        if source.suffix.lower() == ".zip" and source.is_file():
            on_progress(0.0, N_("Unpacking"))
            source = _unpacked(source, folder, lambda _share: stop_if(should_stop, set_id))
            is_numbered = True
        return _keep(
            workspace,
            _Making(set_id, folder, is_replaced),
            _parts(source, size_px, labels, told, is_numbered=is_numbered),
            told,
            on_progress,
            should_stop,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(source: Path, folder: Path, check: Callable[[float], None]) -> Path:
    """Unpack a zip into the scratch folder, under its own name, and return the folder."""
    most = min(settings().raster_mb << 20, shutil.disk_usage(folder).free // 2)
    target = folder / store.slug(source.stem, fallback="images")
    target.mkdir()
    unpack_images(
        source, target, label=source.name, suffixes=SUFFIXES, most_bytes=most, on_file=check
    )
    # Whoever packs a folder packs its name too.
    while len(inner := list(target.iterdir())) == 1 and inner[0].is_dir():
        if is_split(inner[0].name):
            break
        target = inner[0]
    return target


@dataclass(slots=True)
class _Parts:
    """Chips to come: how many at most, their size and channels, and batches of (chips, rows)."""

    most: int
    size_px: int
    channels: int
    batches: Iterable[tuple[NDArray[np.uint8], list[tuple[str, str, str]]]]
    name: str


def _parts(
    source: Path, size_px: int | None, labels: Path | None, told: _Told, *, is_numbered: bool
) -> _Parts:
    if source.is_dir():
        files = [
            path for path in sorted(source.iterdir()) if "images" in path.name and path.is_file()
        ]
        digits = [path for path in files if idx.is_idx(within(source.resolve(), path))]
        if digits:
            return _idx_parts(digits, size_px, None)
        return _folder_parts(source, size_px, told, is_numbered=is_numbered)
    if not source.is_file():
        raise InputError(N_("There is no folder or file {path}."), path=str(source)[:200])
    return _idx_parts([source], size_px, labels)


def _idx_parts(paths: list[Path], size_px: int | None, labels: Path | None) -> _Parts:
    shapes = [idx.idx_shape(path) for path in paths]
    size = size_px or min(min(shape[1:]) for shape in shapes)
    if any(min(shape[1:]) < size for shape in shapes):
        raise InputError(N_("The images are smaller than {size} px."), size=size)
    # One file alone is what the user wants to train on, whatever it is called.
    splits = [
        "test" if len(paths) > 1 and path.name.startswith(("t10k", "test")) else "train"
        for path in paths
    ]

    def batches() -> Iterator[tuple[NDArray[np.uint8], list[tuple[str, str, str]]]]:
        for path, shape, split in zip(paths, shapes, splits, strict=True):
            beside = labels or idx.labels_beside(path)
            if beside:
                within(path.parent.resolve(), beside)
            names = idx.read_labels(beside, shape[0]).astype(str) if beside else None
            done = 0
            for images in idx.read_images(path):
                chips = np.stack([_fitted(image, size)[None] for image in images])
                rows = [
                    (f"{path.name}#{done + at}", split, "" if names is None else names[done + at])
                    for at in range(len(images))
                ]
                done += len(images)
                yield chips, rows

    name = paths[0].name if len(paths) == 1 else paths[0].parent.name
    return _Parts(sum(shape[0] for shape in shapes), size, 1, batches(), name)


def _folder_parts(source: Path, size_px: int | None, told: _Told, *, is_numbered: bool) -> _Parts:
    skipped: list[str] = []
    images = list(list_images(source, skipped))
    if is_numbered:
        images = [replace(image, name=_own_name(image.name)) for image in images]
    told.others = len(skipped)
    readable = _first_readable(images, told)
    if readable is None:
        hint = N_("Give a folder with PNG or JPEG files, or folders of them.")
        for reason, names in told.unread.items():
            raise InputError(
                N_("{name} holds no image that can be read; {image}: {reason}."), hint=hint,
                name=source.name, image=names[0], reason=reason,
            )  # fmt: skip
        raise InputError(N_("{name} holds no image that can be read."), hint=hint, name=source.name)
    first = readable
    size = size_px or min(first.shape[:2])
    CutOptions(size_px=size)
    is_grey = first.ndim == 2

    def batches() -> Iterator[tuple[NDArray[np.uint8], list[tuple[str, str, str]]]]:
        told.unread.clear()
        told.num_unread.clear()
        chips, rows, begun = [], [], time.monotonic()
        for image in images:
            found = _read(image, told)
            if found is None:
                continue
            if min(found.shape[:2]) < size:
                told.smaller += 1
                continue
            told.jpeg += image.path.suffix.lower() != ".png"
            told.cropped += found.shape[0] != found.shape[1]
            told.recoloured += (found.ndim == 2) != is_grey
            chips.append(_channels_of(found, is_grey, size))
            rows.append((image.name, image.split, image.label))
            # Large photographs take a tenth of a second each: whoever waits wants to hear of it.
            if len(chips) == _AT_ONCE or time.monotonic() - begun > _LONGEST_S:
                yield np.stack(chips), rows
                chips, rows, begun = [], [], time.monotonic()
        if chips:
            yield np.stack(chips), rows

    return _Parts(len(images), size, 1 if is_grey else 3, batches(), source.name)


def _keep(
    workspace: Workspace,
    files: _Making,
    parts: _Parts,
    told: _Told,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> SetInfo:
    needed = 2 * pack_bytes(parts.most, parts.channels, parts.size_px, 1)
    store.require_space(workspace.root, needed, what=N_("The chip set"))
    rows: list[tuple[str, str, str]] = []
    sizes = pyramid_sizes(parts.size_px)
    with writing(files.set_id):
        writer = PackWriter(files.folder, sizes)
        try:
            for chips, of_them in parts.batches:
                stop_if(should_stop, files.set_id)
                writer.add(pyramid(chips))
                rows += of_them
                on_progress(0.9 * len(rows) / parts.most, N_("Reading images"))
            if not rows:
                raise InputError(N_("No image is at least {size} px."), size=parts.size_px)
            on_progress(0.92, N_("Packing"))
            with store.atomic_path(files.folder / "pixels.npz") as packed:
                writer.pack(packed, lambda: stop_if(should_stop, files.set_id))
        finally:
            writer.close()
        table = pd.DataFrame(rows, columns=["source", "split", "label"])
        table.index.name = "chip"
        labels = sorted(set(table["label"]) - {""}, key=lambda name: (len(name), name))
        if not labels:
            table = table.drop(columns="label")
        write_table(table, files.folder / "chips.parquet")
    on_progress(0.97, N_("Computing the digest"))
    pixels = files.folder / "pixels.npz"
    info = SetInfo(
        id=files.set_id,
        created=now(),
        made="import",
        count=len(rows),
        splits=split_counts(table["split"].tolist()),
        sizes=sizes,
        dtype="uint8",
        channels=tuple(image_channels(parts.channels)),
        labels=tuple(labels[:_MOST_LABELS]),
        sources=({"name": parts.name, "images": len(rows)},),
        options={"size_px": parts.size_px, "left_out": told.left_out},
        notes=tuple(told.notes(parts.size_px)),
        code=code_version(),
        digest=store.file_digest(pixels),
        num_bytes=pixels.stat().st_size,
    )
    stop_if(should_stop, files.set_id)
    table_path = files.folder / "chips.parquet"
    sets = ChipSets(workspace.root)
    return sets.put(info, pixels, table_path, is_replaced=files.is_replaced)


def _first_readable(images: list[Image], told: _Told) -> NDArray[np.uint8] | None:
    for image in images:
        found = _read(image, told)
        if found is not None:
            return found
    return None


def _read(image: Image, told: _Told) -> NDArray[np.uint8] | None:
    try:
        return read_picture(image.path)
    except RefusedFileError as err:
        reason = err.values["reason"]
        assert isinstance(reason, str)
        told.num_unread[reason] += 1
        if len(names := told.unread.setdefault(reason, [])) < _MOST_NAMED:
            names.append(image.name[-80:])
        return None


def _own_name(name: str) -> str:
    """Return a name without the number that `unpack_images` put before it."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition("-")[2]))


def _channels_of(found: NDArray[np.uint8], is_grey: bool, size: int) -> NDArray[np.uint8]:
    """Return (C, size, size): grey or colours as wanted, the middle square, averaged down."""
    if is_grey and found.ndim == 3:
        # Rec. 601 luma, as Pillow takes it.
        found = to_whole(found @ np.array([0.299, 0.587, 0.114]), np.dtype("u1"))
    planes = [found] * (1 if is_grey else 3) if found.ndim == 2 else list(np.moveaxis(found, 2, 0))
    return np.stack([_fitted(plane, size) for plane in planes])


def _fitted(plane: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Take the middle square and average it down to `size`."""
    side = min(plane.shape)
    top, left = (plane.shape[0] - side) // 2, (plane.shape[1] - side) // 2
    square = plane[top : top + side, left : left + side]
    if side == size:
        return square
    return to_whole(area_mean(square, (size, size)), np.dtype("u1"))
