"""Cached doors to sets of chips. A set is keyed by the digest of its pixels, which never change."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core import intake, png
from core.chips import quality, selection, statistics
from core.chips.display import mosaic, to_pictures
from core.chips.export import JpegEffect, jpeg_effect
from core.chips.places import PlaceChip, chip_of
from core.chips.preview import Preview, preview
from core.chips.pyramid import pyramid
from core.chips.quality import Quality
from core.chips.requests import Request
from core.chips.selection import Wanted
from core.chips.sets import ChipSet, ChipSets, SetInfo
from core.chips.statistics import Figures
from core.connectors import shelf
from core.rasters import source_name
from core.settings import settings
from ui.server import workspace

_TRIAL_PX, _PLACE_PX = 128, 256


@st.cache_resource(max_entries=8, show_spinner=False)
def chip_set(set_id: str, digest: str) -> ChipSet:
    """Return a set, open for reading."""
    del digest
    return ChipSets(workspace().root).open(set_id)


@st.cache_data(max_entries=64, show_spinner=False)
def matching(
    set_id: str, digest: str, wanted: Wanted, is_looked_through: bool
) -> NDArray[np.int64]:
    """Return the chips that are as wanted; warnings need a set that was looked through."""
    found = chip_quality(set_id, digest) if is_looked_through and wanted.warning else None
    return selection.matching(chip_set(set_id, digest).table, wanted, found)


@st.cache_resource(max_entries=4, show_spinner=False)
def chip_quality(set_id: str, digest: str) -> Quality:
    """Return what is wrong with the chips of a set: some two seconds for 20,000 of them."""
    return quality.look(chip_set(set_id, digest))


@st.cache_resource(max_entries=8, show_spinner=False)
def chip_figures(set_id: str, digest: str) -> Figures:
    """Return mean, spread and histogram of each channel."""
    return statistics.figures(chip_set(set_id, digest))


@st.cache_data(max_entries=32, show_spinner=False)
def chip_jpeg(set_id: str, digest: str, jpeg_quality: int, bands: tuple[int, ...]) -> JpegEffect:
    """Return what JPEG does to the chips of a set, measured on some of them."""
    return jpeg_effect(chip_set(set_id, digest), jpeg_quality, bands=bands or None)


def chip_preview(request: Request) -> Preview:
    """Return what a request would cut, anew once its area or a file has changed. Read only."""
    return _preview(request, _stamps(request.area, request.files))


@st.cache_resource(max_entries=16, show_spinner=False)
def _preview(request: Request, stamps: tuple[int, ...]) -> Preview:
    del stamps
    return preview(workspace(), request)


def trial_picture(request: Request) -> bytes:
    """Return the chips that were cut on trial side by side, as PNG; empty where there are none."""
    return _trial_picture(request, _stamps(request.area, request.files))


@st.cache_data(max_entries=16, show_spinner=False)
def _trial_picture(request: Request, stamps: tuple[int, ...]) -> bytes:
    found = _preview(request, stamps)
    if not len(found.trial):
        return b""
    pictures = to_pictures(_small(found.trial, _TRIAL_PX), found.channels)
    gap = max(1, pictures.shape[1] // 16)
    return png.truecolour(mosaic(pictures, len(pictures), gap_px=gap))


def place_chip(set_id: str, digest: str, lat: float, lon: float) -> PlaceChip:
    """Return a place as a chip like those of a set, anew once what it was cut from has changed."""
    info = chip_set(set_id, digest).info
    files = _files_of(info)
    return _place_chip(set_id, digest, files, _stamps(info.area, files), lat, lon)


@st.cache_resource(max_entries=32, show_spinner=False)
def _place_chip(
    set_id: str,
    digest: str,
    files: tuple[str, ...],
    stamps: tuple[int, ...],
    lat: float,
    lon: float,
) -> PlaceChip:
    del stamps
    info = chip_set(set_id, digest).info
    return chip_of(workspace(), info, lon=lon, lat=lat, files=[Path(name) for name in files])


def place_picture(
    set_id: str, digest: str, place: tuple[float, float], bands: tuple[int, ...]
) -> bytes:
    """Return a place as a chip, as PNG."""
    found = place_chip(set_id, digest, *place)
    channels = chip_set(set_id, digest).info.channels
    chips = _small(found.pixels[None], _PLACE_PX)
    return png.truecolour(to_pictures(chips, channels, bands or None)[0])


def _files_of(info: SetInfo) -> tuple[str, ...]:
    """Return files of the names that a set was cut from: images, the data folder's, uploads."""
    names = {str(source["name"]) for source in info.sources if "sha256" in source}
    if not names:
        return ()
    space = workspace()
    found = [settings().data / name for name in intake.data_files(intake.RASTER_SUFFIXES)]
    for area in space.area_ids():  # a set may be cut without the area that its images were for
        found += [image.path for image in shelf.fetched(space, area)]
    found += intake.uploads(space.root, intake.RASTER_SUFFIXES)
    return tuple(str(path) for path in found if source_name(path) in names)


def _stamps(area: str, files: Iterable[str]) -> tuple[int, ...]:
    """Return what changes with an area or one of some files; 0 for one that is gone."""
    found = [workspace().stamp(area) if area else 0]
    for name in files:
        try:
            found.append(intake.stamp(Path(name)))
        except OSError:
            found.append(0)
    return tuple(found)


def _small(chips: NDArray[Any], most_px: int) -> NDArray[Any]:
    """Return chips at the largest size of their pyramid that is not above one."""
    sizes = pyramid(chips)
    return sizes[max((px for px in sizes if px <= most_px), default=min(sizes))]
