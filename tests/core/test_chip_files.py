"""Chips of files: looked at beforehand without reading them through, found again by content."""

import numpy as np
import pytest

from core import store
from core.chips import material
from core.chips.material import file_material
from core.chips.options import CutOptions
from core.chips.preview import preview
from core.chips.requests import Request
from core.chips.sources import RasterSource
from core.workspace import Workspace
from tests.core.raster_files import write_tif


def request_of(*paths, out="planned", **options):
    chosen = CutOptions(**{"size_px": 8, "count": 5, "split": "none", **options})
    return Request(out=out, files=tuple(map(str, paths)), options=chosen)


def measured(path, *, seed=0, side=256, **profile):
    """Write whole numbers of 16 bits in blocks of 16 by 16 pixels."""
    values = np.random.default_rng(seed).integers(100, 4000, (2, side, side)).astype("u2")
    return write_tif(path, values, tiled=True, blockxsize=16, blockysize=16, **profile), values


@pytest.fixture
def read_px(monkeypatch):
    """The pixels of all windows that were read."""
    found = []
    plain = RasterSource.read

    def read(self, window):
        found.append(int(window.width * window.height))
        return plain(self, window)

    monkeypatch.setattr(RasterSource, "read", read)
    return found


def test_a_look_beforehand_reads_a_part_of_a_large_file_once_and_takes_no_digest(
    tmp_path, monkeypatch, read_px
):
    monkeypatch.setattr(material, "_ROUGH_BYTES", 32 << 10)
    monkeypatch.setattr(store, "file_digest", lambda _: pytest.fail("a digest was taken"))
    path, values = measured(tmp_path / "large.tif")
    seen = preview(Workspace(tmp_path), request_of(path))
    assert 32 * 256 <= sum(read_px) <= 32 * 256 + 8 * 64  # 32 blocks of 1 kB, chips on trial
    assert len(seen.trial) == 5
    for channel, band in zip(seen.channels, values, strict=True):
        assert band.min() <= channel.low < channel.high <= band.max()
    read_px.clear()
    preview(Workspace(tmp_path), request_of(path, seed=1))
    assert sum(read_px) <= 8 * 64
    path, values = measured(path, seed=5)  # another file of that name
    preview(Workspace(tmp_path), request_of(path, seed=1))
    assert sum(read_px) > 32 * 256


@pytest.mark.parametrize("kind", ["values", "classes"])
def test_a_look_at_a_small_file_finds_what_cutting_finds(tmp_path, kind):
    values = np.random.default_rng(2).integers(3, 60, (60, 70)).astype("u2")
    path = write_tif(tmp_path / "small.tif", values)
    rough, exact = (file_material([path], kind=kind, is_rough=rough) for rough in (True, False))
    assert rough.channels == exact.channels
    assert exact.facts[0]["sha256"] == store.file_digest(path)


def test_a_look_at_a_file_that_is_empty_where_it_was_looked_at_refuses_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(material, "_ROUGH_BYTES", 512)
    values = np.zeros((64, 64), "u2")
    values[20, 20] = 7
    path = write_tif(tmp_path / "e.tif", values, nodata=0, tiled=True, blockxsize=16, blockysize=16)
    assert len(file_material([path], kind="values", is_rough=True).channels) == 1
    assert file_material([path], kind="values").channels[0].low == 7


def test_scattered_blocks_lie_in_many_rows_and_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(material, "_ROUGH_BYTES", 32 << 10)
    source = RasterSource(measured(tmp_path / "large.tif")[0])
    asked = []
    monkeypatch.setattr(source, "read", asked.append)
    list(material._some(source))
    assert len({window.row_off for window in asked}) > 8
    assert len({window.col_off for window in asked}) > 8
