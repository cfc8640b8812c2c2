"""Cached doors to sets of chips. A set is keyed by the digest of its pixels, which never change."""

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
from core.chips.sets import ChipSet, ChipSets
from core.chips.statistics import Figures
from core.connectors import shelf
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


@st.cache_resource(max_entries=16, show_spinner=False)
def chip_preview(request: Request, stamp: int) -> Preview:
    """Return what a request would cut; `stamp` is that of its area. Read only."""
    del stamp
    return preview(workspace(), request)


@st.cache_resource(max_entries=32, show_spinner=False)
def place_chip(set_id: str, digest: str, stamp: int, lat: float, lon: float) -> PlaceChip:
    """Return a place as a chip like those of a set; `stamp` is that of its area."""
    del stamp
    space = workspace()
    info = chip_set(set_id, digest).info
    files = [settings().data / name for name in intake.data_files(intake.RASTER_SUFFIXES)]
    if info.area in space.area_ids():
        files += [image.path for image in shelf.fetched(space, info.area)]
    return chip_of(space, info, lon=lon, lat=lat, files=files)


@st.cache_data(max_entries=64, show_spinner=False)
def place_picture(
    set_id: str, digest: str, stamp: int, place: tuple[float, float], bands: tuple[int, ...]
) -> bytes:
    """Return a place as a chip, as PNG."""
    found = place_chip(set_id, digest, stamp, *place)
    channels = chip_set(set_id, digest).info.channels
    chips = _small(found.pixels[None], _PLACE_PX)
    return png.truecolour(to_pictures(chips, channels, bands or None)[0])


@st.cache_data(max_entries=16, show_spinner=False)
def trial_picture(request: Request, stamp: int) -> bytes:
    """Return the chips that were cut on trial side by side, as PNG; empty where there are none."""
    found = chip_preview(request, stamp)
    if not len(found.trial):
        return b""
    pictures = to_pictures(_small(found.trial, _TRIAL_PX), found.channels)
    gap = max(1, pictures.shape[1] // 16)
    return png.truecolour(mosaic(pictures, len(pictures), gap_px=gap))


def _small(chips: NDArray[Any], most_px: int) -> NDArray[Any]:
    """Return chips at the largest size of their pyramid that is not above one."""
    sizes = pyramid(chips)
    return sizes[max((px for px in sizes if px <= most_px), default=min(sizes))]
