from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main as core_main
from core.chips.sets import ChipSets
from core.errors import InputError, RefusedFileError
from core.settings import settings
from models.runs import create
from models.sets import (
    facts,
    forget_pictures,
    is_set,
    keep_pictures,
    kept_pictures,
    open_chips,
    size_of,
)
from models.worker import work
from tests.models.small import chips, run_config


@pytest.fixture
def city(tmp_path, workspace, capsys):
    """Keep 20 pictures of 32 px as the set `city`, and return their pixels."""
    pictures = chips(20, channels=3)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture.transpose(1, 2, 0)).save(folder / f"{number:02}.png")
    assert core_main(["chips", "import", str(folder), "--out", "city"]) == 0
    capsys.readouterr()
    return pictures


def test_a_set_is_opened_by_its_name_with_its_own_pixels(city, workspace):
    found = open_chips("city", size_px=32)
    assert (len(found), found.channels, found.size_px) == (20, 3, 32)
    assert np.array_equal(found.batch(np.array([3, 0])), city[[3, 0]])
    assert found.digest == ChipSets(workspace).info("city").digest
    assert size_of("city") == 32


def test_a_run_trains_on_a_set(city, workspace, tmp_path):
    config = run_config(tmp_path)
    config = replace(config, data="city", networks=replace(config.networks, channels=3))
    assert work(create(workspace / "runs", config)).state == "done"


def test_a_set_or_a_size_that_is_not_there_is_told(city):
    with pytest.raises(InputError, match="There are: city"):
        open_chips("town", size_px=32)
    with pytest.raises(InputError, match="no chips of 128 px"):
        open_chips("city", size_px=128)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("city", True), ("digits", False), ("a.npy", False), ("/a/b", False), ("../x", False)],
)
def test_a_name_is_told_from_a_file(source, expected):
    assert is_set(source) is expected


def test_facts_say_what_a_run_on_a_set_can_be(tmp_path):
    np.save(tmp_path / "mine.npy", chips(20, size=64, channels=3))
    found = facts(str(tmp_path / "mine.npy"))
    assert (found.count, found.channels, found.sizes, found.side_m) == (20, 3, (64,), None)
    digits = facts("digits")
    assert (digits.count, digits.channels, digits.sizes) == (1797, 1, (32, 64, 128))


def test_facts_of_a_workspaces_set_count_what_is_for_training(city):
    found = facts("city")
    info = ChipSets(settings().workspace).info("city")
    assert found.count == info.splits.get("train", info.count)
    assert set(found.sizes) <= set(info.sizes)


def test_an_upload_is_kept_once_and_only_kept_files_are_forgotten(workspace, tmp_path):
    for _ in range(2):
        np.save(tmp_path / "mine.npy", chips(20))
        place = keep_pictures(workspace, tmp_path / "mine.npy")
    assert kept_pictures(workspace) == [place]
    assert len(open_chips(str(place), size_px=32)) == 20
    np.save(tmp_path / "other.npy", chips(20))
    forget_pictures(workspace, tmp_path / "other.npy")
    assert (tmp_path / "other.npy").exists()
    forget_pictures(workspace, place)
    assert kept_pictures(workspace) == []


def test_an_upload_that_holds_no_pictures_is_not_kept(workspace, tmp_path):
    (tmp_path / "bad.npy").write_bytes(b"no pictures")
    with pytest.raises(RefusedFileError):
        keep_pictures(workspace, tmp_path / "bad.npy")
    assert kept_pictures(workspace) == []
