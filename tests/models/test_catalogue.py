"""Models at hand: what is damaged hides no other; what channels mean."""

import json

import numpy as np
import pytest
from PIL import Image

from core import png
from core.errors import StoreError, TooLargeError
from core.workspace import Workspace
from models import catalogue
from tests.models.test_models_cli import refused, said
from tests.pages.tiny_model import make_model


@pytest.mark.parametrize(
    "damaged",
    [
        {"depth": None}, {"depth": "x"}, {"depth": -3}, {"alpha": "x"}, {"alpha": 7},
        {"metres_per_px": "x"}, {"metres_per_px": 1e999}, {"metres_per_px": 0}, {"bands": 5},
        {"channels": 5}, {"channels": [{"boom": 1}]}, {"has": 5}, {"digests": []},
        {"channels": [{"name": "a", "kind": "class", "colour": "boom"}]},
    ],
)  # fmt: skip
def test_a_model_whose_facts_are_damaged_hides_no_other(workspace, damaged):
    make_model(workspace, name="good")
    make_model(workspace, name="other", seed=1)
    facts = workspace / "weights" / "other" / "checkpoint.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), **damaged}))
    found = [one.id for one in catalogue.entries(workspace) if one.kind == "import"]
    assert found == ["import/good"]
    with pytest.raises(StoreError, match="cannot be read"):
        catalogue.entry(workspace, "import/other")


def test_what_channels_mean_comes_from_the_model_else_from_its_very_chips(workspace):
    from core.chips.imports import import_set

    place = workspace.parent / "images"
    place.mkdir()
    for number in range(4):
        picture = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        (place / f"{number}.png").write_bytes(png.truecolour(picture))
    info = import_set(Workspace(workspace), "small", place)
    classes = [{"name": name, "kind": "class", "colour": "#00FF00"} for name in "abc"]
    names = {}
    for name, facts in {
        "own": {"meaning": classes, "source_of_data": "small"},
        "same": {"source_of_data": "small", "data": info.digest},
        "other": {"source_of_data": "small", "data": "0" * 64},
        "named": {"bands": ["nir", "red", "green"]},
        "unknown": {},
    }.items():
        found = catalogue.entry(workspace, make_model(workspace, name=name, **facts))
        names[name] = [one.name for one in catalogue.channels_of(found, workspace)]
    assert names == {
        "own": ["a", "b", "c"], "same": ["red", "green", "blue"], "other": [],
        "named": ["nir", "red", "green"], "unknown": [],
    }  # fmt: skip


def test_the_command_line_draws_classes_in_their_colours(capsys, workspace, tmp_path):
    colours = ["#0000FF", "#00FF00", "#FF0000"]
    classes = [{"name": name, "kind": "class", "colour": colour}
               for name, colour in zip("abc", colours, strict=True)]  # fmt: skip
    name = make_model(workspace, meaning=classes)
    out = tmp_path / "a.png"
    for argv in (
        ["sample", name, "--seeds", "1-3"],
        ["truncation", name, "--seeds", "1", "--psis", "0,1"],
        ["mixing", name, "--src", "1", "--dst", "2", "--layers", "0-1"],
    ):
        said(capsys, *argv, "--out", str(out))
        with Image.open(out) as opened:
            found = opened.convert("RGB").getcolors(99)
        shown = {f"#{bytes(one).hex().upper()}" for _, one in found}
        assert shown <= {*colours, "#FFFFFF", "#000000"}


@pytest.mark.parametrize(
    "argv",
    [
        ["sample", "--seeds", "0-11", "--columns", "2000"],
        ["truncation", "--seeds", "0-3", "--psis", "0,1"],
        ["mixing", "--src", "0-3", "--dst", "0-1", "--layers", "0-1"],
    ],
)
def test_row_28_a_sheet_that_is_too_large_is_refused_before_any_picture_is_made(
    capsys, workspace, tmp_path, monkeypatch, argv
):
    """Row 28: not after minutes, and without a half result."""
    from models import exports, generate

    name = make_model(workspace)
    monkeypatch.setattr(exports, "_GREATEST", 7 * 256)
    monkeypatch.setattr(generate, "pictures", lambda *rest: pytest.fail("made one"))
    out = tmp_path / "a.png"
    words = refused(capsys, argv[0], name, *argv[1:], "--out", str(out))
    assert "too large for a sheet" in words
    assert not out.exists()


def test_the_studys_figures_of_1024_px_fit_on_a_sheet():
    from models.exports import check_sheet

    check_sheet(2, 11, size_px=1024)
    check_sheet(3, 6, size_px=1024)
    check_sheet(16, 16, size_px=256)
    with pytest.raises(TooLargeError):
        check_sheet(9, 8, size_px=1024)
