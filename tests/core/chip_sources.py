"""Sources and sets of chips that tests can work out by hand."""

import numpy as np
from affine import Affine
from pyproj import CRS
from rasterio.transform import from_origin

from core.chips.channels import Channel
from core.chips.cut import cut_set
from core.chips.material import Material, image_channels
from core.chips.options import CutOptions
from core.chips.sets import ChipSets
from core.georeference import Georeference
from core.workspace import Workspace

UTM = CRS(32616)


def place(rows, cols, *, west=445_000.0, north=4_635_000.0, pixel=1.0, crs=UTM):
    return Georeference(crs, from_origin(west, north, pixel, pixel), cols, rows)


class Drawn:
    """A source without a file: three bands, whatever is asked for, all of it valid by default."""

    spread = 4.0

    def __init__(self, rows, cols, *, date="2020-08-31", name="drawn", valid=None, **where):
        self.name, self.date = name, date
        self.place = place(rows, cols, **where)
        row, col = np.mgrid[:rows, :cols]
        noise = np.random.default_rng(7).integers(0, 40, (rows, cols))
        self.pixels = np.stack([row % 256, col % 256, noise]).astype(np.uint8)
        self.valid = np.ones((rows, cols), bool) if valid is None else valid
        self.asked = []

    def read(self, window):
        assert window.col_off >= 0 and window.row_off >= 0
        assert window.col_off + window.width <= self.place.width
        assert window.row_off + window.height <= self.place.height
        self.asked.append(window)
        part = window.toslices()
        return self.pixels[:, *part], self.valid[part]

    def close(self):
        pass


def drawn_material(*sources: Drawn, channels: tuple[Channel, ...] | None = None) -> Material:
    facts = tuple({"name": each.name, "date": each.date} for each in sources)
    channels = channels or tuple(image_channels(3))
    return Material(sources=sources, channels=channels, facts=facts)


def cut(root, *sources, name="set", around=None, channels=None, **options):
    """Cut a set of 16 px chips out of drawn sources and open it."""
    material = drawn_material(*(sources or (Drawn(200, 240),)), channels=channels)
    chosen = CutOptions(**{"size_px": 16, "count": 40, **options})
    cut_set(Workspace(root), name, material, chosen, around=around)
    return ChipSets(root).open(name)


def shifted(transform: Affine, col: float, row: float) -> Affine:
    return transform @ Affine.translation(col, row)
