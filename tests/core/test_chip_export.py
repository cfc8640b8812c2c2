"""Chips as image files, what JPEG does to them, and what is wrong with chips."""

import csv
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageFilter

from core.chips import quality
from core.chips.channels import Channel
from core.chips.display import mosaic, shown_channels, to_pictures
from core.chips.export import export_set, jpeg_effect
from core.chips.imports import import_set
from core.chips.material import image_channels
from core.chips.quality import look, near_duplicates, sharpness
from core.chips.sets import ChipSets
from core.errors import InputError, StoppedError, TooLargeError
from core.workspace import Workspace
from tests.core.chip_sources import cut


def test_png_keeps_every_pixel_and_splits_lie_apart(tmp_path):
    chips = cut(tmp_path)
    done = export_set(chips, tmp_path / "out", sizes=[16, 4])
    for split, prefix in (("train", ""), ("test", "test/")):
        for size in (16, 4):
            index = chips.indices(split)
            folder = tmp_path / "out" / f"{prefix}patches_{size}"
            assert sorted(p.name for p in folder.iterdir()) == [f"{n:06d}.png" for n in index]
            for number in index:
                found = np.asarray(Image.open(folder / f"{number:06d}.png"))
                assert_array_equal(np.moveaxis(found, 2, 0), chips.pixels(size)[number])
    assert done.num_files == 80 and done.notes == ()
    with (tmp_path / "out" / "chips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40 and {row["split"] for row in rows} == {"train", "test"}
    assert float(rows[0]["west"]) == chips.table.iloc[int(rows[0]["chip"])]["west"]


def test_one_split_lies_in_the_folder_itself(tmp_path):
    chips = cut(tmp_path)
    export_set(chips, tmp_path / "out", split="test", sizes=[8])
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["chips.csv", "patches_8"]
    assert len(list((tmp_path / "out" / "patches_8").iterdir())) == len(chips.indices("test"))


def test_what_was_exported_can_be_taken_in_again(tmp_path):
    chips = cut(tmp_path)
    export_set(chips, tmp_path / "out")
    import_set(Workspace(tmp_path), "again", tmp_path / "out")
    again = ChipSets(tmp_path).open("again")
    assert again.info.splits == chips.info.splits and again.info.sizes == chips.info.sizes
    for split in ("train", "test"):
        assert_array_equal(again.read(again.indices(split)), chips.read(chips.indices(split)))


def test_jpeg_says_what_it_does_to_metrics(tmp_path):
    chips = cut(tmp_path)
    done = export_set(chips, tmp_path / "out", form="jpeg", sizes=[16])
    assert all(p.suffix == ".jpg" for p in (tmp_path / "out" / "patches_16").iterdir())
    text, values = done.notes[0]
    assert "FID" in text and "JPEG at quality 95" in text.format(**values)
    good, bad = jpeg_effect(chips), jpeg_effect(chips, 20)
    assert 0 < good.mean_difference < bad.mean_difference
    assert good.psnr_db > bad.psnr_db
    # The two figures against the definition, on the files themselves.
    off = []
    for number in chips.indices("train"):
        path = tmp_path / "out" / "patches_16" / f"{number:06d}.jpg"
        off.append(
            np.asarray(Image.open(path)).astype(float) - np.moveaxis(chips.pixels()[number], 0, 2)
        )
    assert np.abs(off).mean() == pytest.approx(good.mean_difference, rel=0.1)


def test_classes_are_drawn_in_their_colours_and_never_as_jpeg(tmp_path):
    channels = (
        Channel(name="low", kind="class", low=0, high=1, band=2, code=3, colour="#FF0000"),
        Channel(name="seven", kind="class", low=0, high=1, band=2, code=7, colour="#00FF00"),
    )
    chips = cut(tmp_path, channels=channels)
    pictures = to_pictures(chips.read(np.arange(40)), channels)
    stack = chips.read(np.arange(40))
    assert (pictures[stack[:, 0] == 255] == (255, 0, 0)).all()
    assert (pictures[stack[:, 1] == 255] == (0, 255, 0)).all()
    assert (pictures[stack.max(axis=1) == 0] == 0).all()
    with pytest.raises(InputError, match="Classes cannot be kept in JPEG"):
        export_set(chips, tmp_path / "out", form="jpeg")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sizes": [7]}, "no chips of 7 px"),
        ({"split": "val"}, "no chips for val"),
        ({"bands": ["violet"]}, "There is no channel 'violet'"),
        ({"bands": ["red", "green"]}, "one channel or three"),
        ({"form": "jpeg", "quality": 100}, "from 1 to 95"),
    ],
    ids=["size", "split", "band", "two-bands", "quality"],
)
def test_exports_that_cannot_be_made_leave_nothing(tmp_path, options, words):
    chips = cut(tmp_path)
    with pytest.raises(InputError, match=words):
        export_set(chips, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_an_export_never_writes_over_another(tmp_path):
    chips = cut(tmp_path)
    export_set(chips, tmp_path / "out", sizes=[4])
    with pytest.raises(InputError, match="holds patches_4 already"):
        export_set(chips, tmp_path / "out", sizes=[4])


def test_a_stopped_export_and_a_full_disk_leave_nothing(tmp_path, monkeypatch):
    """Row 20."""
    chips = cut(tmp_path)
    with pytest.raises(StoppedError):
        export_set(chips, tmp_path / "out", should_stop=lambda: True)
    assert not any((tmp_path / "out").iterdir())
    from core import store

    usage = store.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(TooLargeError, match="The export needs"):
        export_set(chips, tmp_path / "out")


def test_the_bands_that_make_a_picture_are_found_by_name():
    def named(*names):
        return [Channel(name=name, kind="image") for name in names]

    assert shown_channels(named("nir", "blue", "green", "red")) == [3, 2, 1]
    assert shown_channels(named("a", "b", "c", "d")) == [0, 1, 2]
    assert shown_channels(named("a", "b")) == [0]
    assert shown_channels(image_channels(4), ["nir", "red", "green"]) == [3, 0, 1]
    assert to_pictures(np.full((1, 1, 4, 4), 65535, np.uint16), named("x")).max() == 255


def test_a_mosaic_lays_chips_row_by_row():
    sheet = mosaic(np.arange(5, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2), 3)
    assert sheet.shape == (5, 8)
    assert sheet[0, 0] == 0 and sheet[0, 3] == 1 and sheet[3, 3] == 4 and sheet[3, 6] == 255


def test_sharpness_by_hand_and_falling_with_blur():
    # One bright pixel of 9 in the middle of 5 × 5: the Laplacian is -36, four times 9, four of 0.
    chip = np.zeros((1, 1, 5, 5), np.uint8)
    chip[0, 0, 2, 2] = 9
    edges = np.array([-36.0, 9, 9, 9, 9, 0, 0, 0, 0])
    assert_allclose(sharpness(chip), [edges.var()])
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32)).astype(np.uint8))
    found = [
        sharpness(np.asarray(noise.filter(ImageFilter.GaussianBlur(r)))[None, None])[0]
        for r in (0, 1, 2, 4)
    ]
    assert found == sorted(found, reverse=True)
    assert sharpness(np.ones((3, 1, 2, 2), np.uint8)).tolist() == [0, 0, 0]


@pytest.fixture
def odd_set(tmp_path):
    """Forty images of noise; 3 is 30 with a little noise, 5 is blurred, 7 to 9 are equal."""
    rng = np.random.default_rng(9)
    pixels = rng.integers(0, 255, (40, 32, 32, 3)).astype(np.uint8)
    pixels[30] = np.clip(pixels[3].astype(int) + rng.integers(-2, 3, pixels[3].shape), 0, 255)
    pixels[8] = pixels[9] = pixels[7]
    pixels[5] = np.asarray(Image.fromarray(pixels[5]).filter(ImageFilter.GaussianBlur(3)))
    for number, body in enumerate(pixels):
        folder = tmp_path / "in" / ("test" if number in (30, 9) else "train")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(body).save(folder / f"{number:02d}.png")
    import_set(Workspace(tmp_path), "odd", tmp_path / "in")
    return ChipSets(tmp_path).open("odd")


def test_near_duplicates_and_blur_are_found_and_nothing_else(odd_set):
    found = look(odd_set)
    names = odd_set.table["source"].str[-6:-4].astype(int).to_numpy()
    pairs = {tuple(sorted(names[pair])) for pair in found.duplicates.pairs}
    assert pairs == {(3, 30), (7, 8), (7, 9), (8, 9)}
    across = {
        tuple(sorted(names[pair])) for pair in found.duplicates.pairs[found.duplicates.across]
    }
    assert across == {(3, 30), (7, 9), (8, 9)}
    assert names[found.blurred].tolist() == [5]
    told = " ".join(text.format(**values) for text, values in found.notes())
    assert "far less detail than most: 1 (" in told
    assert "nearly like another one: 5." in told and "one in test: 3." in told


def test_near_duplicates_are_those_of_brute_force(odd_set):
    found = near_duplicates(odd_set, limit=60.0)
    small = odd_set.pixels(16).reshape(40, -1).astype(float)
    apart = np.sqrt(((small[:, None] - small[None]) ** 2).mean(axis=2))
    for (one, other), difference in zip(found.pairs, found.difference, strict=True):
        assert difference == pytest.approx(apart[one, other], rel=1e-5)
    nearest = apart + np.diag(np.full(40, np.inf))
    assert set(np.flatnonzero(nearest.min(axis=1) <= 2.5)) <= set(found.pairs.ravel())


class _Many:
    """A set of many small chips of noise, of which some are alike."""

    info = SimpleNamespace(sizes=(4,), channels=tuple(image_channels(3)), dtype="uint8")

    def __init__(self, count):
        self._pixels = np.random.default_rng(0).integers(0, 255, (count, 3, 4, 4)).astype(np.uint8)
        self._pixels[-2:] = self._pixels[:2]
        self.table = pd.DataFrame({"split": ["train"] * (count - 1) + ["test"]})

    def __len__(self):
        return len(self._pixels)

    def pixels(self, size_px=4):
        return self._pixels

    def read(self, index, size_px=4):
        return self._pixels[index]


def test_all_chips_are_copied_once_to_be_compared_and_in_parts(monkeypatch):
    monkeypatch.setattr(quality, "_PART_BYTES", 1 << 16)
    monkeypatch.setattr(quality, "_ASKED_AT_ONCE", 3000)
    chips = _Many(40_000)
    tracemalloc.start()
    found = near_duplicates(chips, limit=1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.pairs.tolist() == [[0, 39_998], [1, 39_999]]
    assert found.across.tolist() == [False, True]
    assert peak < 1.4 * chips.pixels().size * 8


def test_a_hundred_equal_chips_do_not_make_five_thousand_pairs(tmp_path):
    for number in range(100):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "in" / f"{number}.png")
    import_set(Workspace(tmp_path), "flat", tmp_path / "in")
    found = near_duplicates(ChipSets(tmp_path).open("flat"))
    assert found.num_chips == 100 and len(found.pairs) <= 500
