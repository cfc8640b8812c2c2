"""Generate: every part of the page over a tiny network, links, files, refusals."""

import base64
import importlib.util
import io
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image

from models import catalogue
from tests.models.fake_run import config, make_run
from tests.pages.said import button, clean, marked, modules_after, only, text
from tests.pages.tiny_model import make_model
from ui import cached_models, generate_draw

HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "safetensors"))
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")


@pytest.fixture(autouse=True)
def without_shipped_models(monkeypatch, tmp_path):
    """The list holds what a test puts there."""
    monkeypatch.setattr(catalogue, "SHIPPED", tmp_path / "shipped")


@pytest.fixture
def tiny(space):
    return make_model(space.root)


def pictures(app):
    """Return the pictures of the page's tables as arrays, in order."""
    bodies = "".join(one.proto.body for one in app.get("html"))
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)"', bodies)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def bodies(app):
    return "".join(one.proto.body for one in app.get("html"))


def view(app):
    return app.session_state["app_state"].generate


def address(app):
    found = app.query_params.items()
    return {name: values[0] if isinstance(values, list) else values for name, values in found}


def table(app):
    return next(one.proto.body for one in app.get("html") if "ups-pictures" in one.proto.body)


def expected(root, model_id, seeds, **look):
    """Return what the pure functions make of seeds, as the page shows it."""
    from models import catalogue, exports, generate, latents, loaded

    model = loaded.load(catalogue.entry(root, model_id).folder)
    z = latents.of_seeds(seeds, 8)
    return exports.shown(generate.grid(model, z, generate.Look(**look)))


def test_without_pytorch_the_page_says_in_a_sentence_how_to_install_it(
    space, open_page, monkeypatch
):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "ui.cached_models.find_spec", lambda name: None if name == "torch" else found(name)
    )
    app = open_page("generate")
    (info,) = app.info
    assert "make models" in info.value
    assert not app.get("html") or "ups-pictures" not in text(app)


@needs_torch
def test_without_a_model_the_page_leads_to_training_a_small_one(space, open_page):
    app = open_page("generate")
    assert "There is no StyleGAN to make pictures with yet" in text(app)
    clean(button(app, "Train a small one").click().run())
    assert app.session_state["app_state"].train.see == "new"


def test_the_other_pages_do_not_load_pytorch(tmp_path):
    assert "torch" not in modules_after(tmp_path, "import ui.cached_models, ui.generate_figure")


@needs_torch
def test_the_grid_shows_the_very_pixels_of_its_seeds(tiny, space, open_page):
    app = open_page("generate", model=tiny, seeds="3,8-10", psi="0.5", noise="4")
    found = pictures(app)
    wanted = expected(space.root, tiny, [3, 8, 9, 10], psi=0.5, noise_seed=4)
    assert np.array_equal(found, wanted)
    assert "4 pictures of 16 px" in text(app)


@needs_torch
@pytest.mark.parametrize("size", [16, 32])
def test_a_figure_that_takes_time_comes_picture_by_picture_and_ends_the_same(
    space, open_page, monkeypatch, size
):
    """With a preview (32 px, after the first figure) and without one (16 px)."""
    monkeypatch.setattr("ui.generate_draw.PREVIEW_FROM_S", -1.0)
    monkeypatch.setattr("ui.generate_draw._PAINT_S", 0.0)
    name = make_model(space.root, size_px=size)
    shown = []
    inner = generate_draw._table
    monkeypatch.setattr(
        "ui.generate_draw._table",
        lambda *rest: shown.append(sorted(len(one[0]) for one in rest[2].values())) or inner(*rest),
    )
    app = open_page("generate", model=name, seeds="0-7", psi="0.6")
    assert (shown[0], shown[-1]) == ([], [size] * 8)
    shown.clear()
    only(app.slider, "psi, distance from the mean").set_value(0.5)
    clean(app.run())
    assert np.array_equal(pictures(app), expected(space.root, name, range(8), psi=0.5))
    first = {16: [], 32: [16] * 8}[size]
    assert (shown[0], shown[-1]) == (first, [size] * 8)
    assert "Preview" not in table(app)


@needs_torch
def test_what_is_changed_stands_in_the_address_and_restores_the_pixels(tiny, open_page):
    app = open_page("generate", model=tiny, seeds="1-4")
    only(app.slider, "psi, distance from the mean").set_value(-0.5)
    clean(app.run())
    changed = pictures(app)
    link = address(app)
    assert link["psi"] == "-0.5"
    assert (link["way"], link["depth"], link["alpha"]) == ("exact", "2", "1")
    assert len(link["digest"]) == 16
    assert np.array_equal(pictures(open_page("generate", **link)), changed)


@needs_torch
def test_a_link_finds_the_same_weights_under_another_name(tiny, space, open_page):
    digest = view(open_page("generate", model=tiny)).digest
    make_model(space.root, name="first", seed=1)
    (space.root / "weights" / "tiny").rename(space.root / "weights" / "zebra")
    st.cache_data.clear()
    app = open_page("generate", model=tiny, digest=digest)
    assert view(app).model == "import/zebra"
    assert not app.warning


@needs_torch
def test_a_link_to_other_weights_of_the_same_name_says_so(tiny, open_page):
    app = open_page("generate", model=tiny, digest="0" * 16)
    assert "are not those that the link was made with" in app.warning[0].value


@needs_torch
def test_a_link_to_a_model_that_is_gone_shows_another_and_says_so(tiny, open_page):
    app = open_page("generate", model="run/../../x/3", seeds="1")
    assert "There is no model" in app.warning[0].value
    assert "There is no model" in clean(app.run()).warning[0].value
    assert view(app).model == tiny


@needs_torch
def test_truncation_marks_the_mean_and_measures_what_changes(tiny, open_page):
    app = open_page("generate", model=tiny, show="truncation", rows="1-2", psis="-1:1:0.5",
                    measured="8")  # fmt: skip
    found = np.array(pictures(app)).reshape(2, 5, 16, 16, 3)
    assert np.array_equal(found[0, 2], found[1, 2])
    assert "0 · mean" in table(app)
    assert table(app).count('class="mean"') == 2
    clean(next(one for one in app.button if one.label.startswith("Measure 8 seeds")).click().run())
    charts = [one.proto.spec for one in app.get("plotly_chart")]
    assert len(charts) == 3
    assert "of 8 seeds" in text(app)


@needs_torch
@pytest.mark.parametrize(("cutoff", "words"), [(2, "0 · mean below layer 2"), (0, ">0<")])
def test_with_a_cutoff_no_column_is_called_the_mean(tiny, space, open_page, cutoff, words):
    app = open_page("generate", model=tiny, show="truncation", rows="1-2", psis="0,1",
                    cutoff=str(cutoff), measured="8")  # fmt: skip
    found = pictures(app)
    assert not np.array_equal(found[0], found[2])
    assert words in table(app)
    assert "0 · mean<" not in table(app)
    assert 'class="mean"' not in table(app)
    clean(next(one for one in app.button if one.label.startswith("Measure 8 seeds")).click().run())
    assert '"mean"' not in app.get("plotly_chart")[0].proto.spec
    below = open_page("generate", model=make_model(space.root, name="low", depth=1),
                      show="truncation", rows="1-2", psis="0,1", cutoff="4")  # fmt: skip
    assert "0 · mean<" in table(below)  # of the four layers that there are, none stays


@needs_torch
def test_of_classes_shares_are_measured_and_of_unknown_channels_nothing(space, open_page):
    meaning = [{"name": name, "kind": "class", "colour": "#00FF00"} for name in ("a", "<b>", "c")]
    name = make_model(space.root, meaning=meaning)
    address = {"show": "truncation", "rows": "1", "psis": "0,1", "measured": "8"}
    app = open_page("generate", model=name, **address)
    clean(next(one for one in app.button if one.label.startswith("Measure 8 seeds")).click().run())
    charts = "".join(one.proto.spec for one in app.get("plotly_chart"))
    assert len(app.get("plotly_chart")) == 4
    assert "Borders between classes" in charts
    assert "<b>" not in charts
    assert "has the class whose channel is the strongest" in text(app)
    name = make_model(space.root, name="four", channels=4)
    app = open_page("generate", model=name, **address)
    assert "is not known: nothing is measured" in text(app)
    assert not [one for one in app.button if one.label.startswith("Measure")]


@needs_torch
def test_mixing_labels_its_layers_in_metres_and_swaps_them(tiny, space, open_page):
    app = open_page("generate", model=tiny, show="mixing", sources="1,2", destinations="5",
                    source_psis="1", destination_psis="1", first="0", last="5")  # fmt: skip
    found = pictures(app)
    assert len(found) == 5
    assert np.array_equal(found[3:], found[:2])  # all layers: the sources themselves
    strip = next(one.proto.body for one in app.get("html") if "ups-strip" in one.proto.body)
    assert "4\xa0px · 8\xa0m" in strip
    assert "16\xa0px · 2\xa0m" in strip
    assert "cars" in strip
    app = open_page("generate", model=tiny, show="mixing", sources="1,2", destinations="5",
                    source_psis="1", destination_psis="1", written="0-5",
                    reading="tuples")  # fmt: skip
    assert "layers 0 + 5 from the sources" in text(app)
    assert not np.array_equal(pictures(app)[3:], found[:2])


@needs_torch
def test_a_walk_moves_and_a_sum_is_read(tiny, open_page):
    app = open_page("generate", model=tiny, show="walk", stops="1,2", frames="3")
    assert "6 pictures of 16 px" in text(app)
    (film,) = (one.proto.body for one in app.get("html") if "ups-film" in one.proto.body)
    packed = re.search(r"data:image/png;base64,([^\"']+)", film)[1]
    with Image.open(io.BytesIO(base64.b64decode(packed))) as opened:
        sheet = np.asarray(opened).reshape(2, 16, 3, 16, 3).swapaxes(1, 2).reshape(6, 16, 16, 3)
    drawn = [one for one in pictures(app) if one.shape == (16, 16, 3)]
    assert np.array_equal(sheet, drawn[:6])
    app = open_page("generate", model=tiny, show="sum", terms="1 - 2 + 0.5*3")
    assert len(pictures(app)) == 4
    assert "− seed 2" in table(app)
    assert "0.5 × seed 3" in table(app)


@needs_torch
@pytest.mark.parametrize(
    "address",
    [
        {"seeds": "1-5", "columns": "2"},
        {"seeds": "1-5"},
        {"show": "truncation", "rows": "1,2", "psis": "0,1"},
        {"show": "mixing", "sources": "1,2", "destinations": "3"},
        {"show": "walk", "stops": "1,2", "frames": "3"},
        {"show": "sum", "terms": "1 - 2"},
        {"show": "depths", "one": "3"},
    ],
)
def test_row_25_a_button_that_saves_a_figure_holds_its_settings_and_no_pictures(
    tiny, open_page, monkeypatch, address
):
    """Row 25: a session's buttons are kept as long as they stand."""
    from models import exports

    held = {}
    monkeypatch.setattr(
        "streamlit.delta_generator.DeltaGenerator.download_button",
        lambda _place, _label, data, **more: held.update({more["key"]: data}),
    )
    app = open_page("generate", model=tiny, **address)
    assert max(len(pickle.dumps(data)) for data in held.values()) < 4096
    cached_models.finished.clear()
    body = held["generate-png"]()
    sheet = np.asarray(Image.open(io.BytesIO(body)))
    shown = [one for one in pictures(app) if one.shape == (16, 16, 3)]
    rows = np.split(sheet, len(sheet) // 16)
    tiles = [one for row in rows for one in np.split(row, row.shape[1] // 16, axis=1)]
    kept = {one.tobytes() for one in shown}
    assert kept <= {one.tobytes() for one in tiles}
    assert exports.settings_of(body)["look"]["way"] == "exact"
    if "generate-gif" in held:
        with Image.open(io.BytesIO(held["generate-gif"]())) as film:
            assert film.n_frames == 6
    if "generate-latents" in held:
        with np.load(io.BytesIO(held["generate-latents"]())) as saved:
            assert saved["latents"].shape == (5, 8)


@needs_torch
def test_a_grid_of_automatic_columns_opens_as_one(tiny, space, open_page, monkeypatch, tmp_path):
    from models import catalogue
    from ui.generate_files import restore
    from ui.generate_view import GenerateView

    held = {}
    monkeypatch.setattr(
        "streamlit.delta_generator.DeltaGenerator.download_button",
        lambda _place, _label, data, **more: held.update({more["key"]: data}),
    )
    open_page("generate", model=tiny, seeds="1-6")
    (tmp_path / "a.png").write_bytes(held["generate-png"]())
    found = GenerateView(columns=5)
    restore(catalogue.entry(space.root, tiny), found, tmp_path / "a.png")
    assert (found.columns, found.seeds) == (0, "1-6")


@needs_torch
def test_depths_are_shown_with_their_scale(tiny, open_page):
    app = open_page("generate", model=tiny, show="depths", one="4")
    assert [len(one) for one in pictures(app)] == [4, 8, 16]
    assert "1 · 8 px · 4 m a pixel" in table(app)


@needs_torch
def test_only_the_trained_depth_is_drawn_at_first(space, open_page):
    name = make_model(space.root, depth=1)
    app = open_page("generate", model=name, seeds="1")
    assert pictures(app)[0].shape == (8, 8, 3)
    assert "8 / 16 px" in [one.value for one in app.metric]


@needs_torch
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ({"seeds": "a"}, "is no list of seeds"),
        ({"seeds": "0-999"}, "at most 400 pictures"),
        ({"show": "truncation", "psis": "1:2:0"}, "are no values of psi"),
        ({"show": "truncation", "rows": "0-4000", "psis": "-1:1:0.1"}, "at most 400 pictures"),
        ({"show": "truncation", "rows": "0-29", "psis": "-1:1:0.1"}, "at most 400 pictures"),
        ({"seeds": ",".join(["0-4095"] * 285)}, "is no list of seeds"),
        ({"seeds": "0-4000"}, "at most 400 pictures"),
        ({"seeds": "99999999999999"}, "A seed lies in 0 to 4,294,967,295"),
        ({"show": "mixing", "written": "3-17"}, "the last can be 5"),
        ({"show": "mixing", "written": "0-300000000"}, "are no layers"),
        ({"show": "mixing", "source_psis": "1,2"}, "2 values of psi were given for 5"),
        ({"show": "mixing", "written": "0-1,2-3"}, "2 ranges of layers were given for 3 rows"),
        ({"show": "walk", "stops": "1"}, "2 seeds at least"),
        ({"show": "sum", "terms": "1 -"}, "is no sum of seeds"),
        ({"latents": "../x"}, "cannot be used as a"),
        ({"latents": "abcd"}, "There are no latents"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(tiny, open_page, address, words):
    app = open_page("generate", model=tiny, **address)
    (error,) = app.error
    assert words in error.value
    only(app.selectbox, "Way of computing")  # every setting is there


@needs_torch
@pytest.mark.parametrize(
    ("address", "label", "wrong"),
    [
        ({"seeds": "1-2"}, "Seeds", "abc"),
        ({"seeds": "1-2"}, "Seeds", "99999999999999"),
        ({"seeds": "1-2"}, "Seeds", "0-999"),
        ({"show": "truncation", "psis": "0,1"}, "psi, one a column", "0:1:0"),
        ({"show": "mixing", "written": "0-1"}, "Layers of each row", "5-9"),
        ({"show": "mixing", "source_psis": "0.5"}, "psi of the sources", "1,2"),
        ({"show": "walk", "stops": "3,4"}, "Seeds on the way", "3"),
        ({"show": "sum", "terms": "1 - 2"}, "Sum of seeds", "1 -"),
    ],
)
def test_a_slip_in_a_line_is_said_beneath_it_and_takes_nothing_away(
    tiny, open_page, address, label, wrong
):
    app = open_page("generate", model=tiny, **address)
    before, link = pictures(app), dict(app.query_params)
    only(app.text_input, label).set_value(wrong)
    clean(app.run())
    (error,) = app.error
    drawn = [*app.main]
    assert drawn[drawn.index(error) - 1].label == label
    assert f"Until then the pictures are of {list(address.values())[-1]}" in plain_text(app)
    assert np.array_equal(pictures(app), before)
    assert dict(app.query_params) == link
    only(app.text_input, label).set_value(list(address.values())[-1])
    assert not clean(app.run()).error


def plain_text(app):
    return text(app).replace("\\", "")


@needs_torch
def test_latents_that_are_gone_leave_the_settings_and_the_way_back_to_seeds(tiny, open_page):
    app = open_page("generate", model=tiny, latents="abcd")
    only(app.slider, "psi, distance from the mean")
    clean(button(app, "✕ latents abcd").click().run())
    assert len(pictures(app)) == 18
    assert not app.error


@needs_torch
def test_a_file_of_latents_and_a_png_open_again(tiny, space, open_page, tmp_path):
    from models import catalogue, exports, latents
    from ui.generate_files import restore
    from ui.generate_view import GenerateView

    entry = catalogue.entry(space.root, tiny)
    look = {"psi": 0.4, "cutoff": 2, "depth": None, "alpha": None, "noise_seed": None,
            "way": "exact"}  # fmt: skip
    told = {"command": "sample", "model": entry.digest, "look": look, "seeds": [4, 5],
            "columns": 1}  # fmt: skip
    latents.write_latents(tmp_path / "z.npz", latents.of_seeds([4, 5], 8), told)
    found = GenerateView()
    restore(entry, found, tmp_path / "z.npz")
    assert (found.shown, found.psi, found.cutoff, found.noise) == ("grid", 0.4, 2, None)
    app = open_page("generate", model=tiny, latents=found.latents, psi="0.4", cutoff="2",
                    noise="off")  # fmt: skip
    wanted = expected(space.root, tiny, [4, 5], psi=0.4, cutoff=2, noise_seed=None)
    assert np.array_equal(pictures(app), wanted)
    image = np.zeros((4, 4, 3), np.uint8)
    exports.write_png(tmp_path / "a.png", image, told)
    found = GenerateView()
    restore(entry, found, tmp_path / "a.png")
    assert (found.seeds, found.columns, found.latents) == ("4-5", 1, "")


@needs_torch
def test_numbers_of_a_link_that_no_input_could_show_are_brought_into_range(tiny, open_page):
    app = open_page("generate", model=tiny, seeds="1", noise="9999999999", columns="999",
                    metres="1e5", psi="7")  # fmt: skip
    assert view(app).noise == 2**32 - 1
    assert view(app).psi == 2.0
    clean(open_page("generate", model=tiny, show="depths", one="9999999999"))
    clean(open_page("generate", model=tiny, show="walk", frames="999", stops="1,2"))


@needs_torch
def test_what_a_link_asks_for_and_cannot_have_is_said_in_a_sentence(tiny, open_page):
    app = open_page("generate", model=tiny, seeds="1", psi="9999", depth="77", cutoff="99",
                    way="boom", noise="3")  # fmt: skip
    (warning,) = app.warning
    said = warning.value.replace("\\", "")
    assert "asks for psi=9999, depth=77, way=boom, which" in said
    assert "psi=2, depth=2, way=exact instead" in said
    only(app.slider, "psi, distance from the mean").set_value(1.5)
    (warning,) = clean(app.run()).warning
    assert "psi" not in warning.value
    link = address(app)
    assert not open_page("generate", **link).warning
    app = open_page("generate", model=tiny, show="mixing", first="1", last="88", psi="9")
    assert "last=88, which" in app.warning[0].value
    assert not open_page("generate", model=tiny, seeds="1", psi="0.70", alpha="1.0").warning


@needs_torch
def test_pictures_of_the_command_line_open_as_they_were_made(space, open_page, tmp_path):
    """With a share of the newest layers, a psi to the last digit, latents of a file."""
    from models import catalogue, latents
    from models.__main__ import main
    from ui.generate_files import restore
    from ui.generate_view import GenerateView, address_of

    tiny = make_model(space.root, alpha=0.5)
    entry = catalogue.entry(space.root, tiny)
    np.save(tmp_path / "z.npy", latents.of_seeds([4, 5], 8))
    latents.keep_latents(space.root, tmp_path / "z.npy", 8)
    common = ["--out", str(tmp_path / "a.png"), "--alpha", "0.25", "--psi", "0.123456789"]
    for given in (["--seeds", "4,5"], ["--latents", str(tmp_path / "z.npy")]):
        assert main(["sample", tiny, *given, *common]) == 0
        found = GenerateView()
        restore(entry, found, tmp_path / "a.png")
        app = open_page("generate", **address_of(found))
        wanted = expected(space.root, tiny, [4, 5], psi=0.123456789, alpha=0.25)
        assert np.array_equal(pictures(app), wanted)
        assert not app.warning


@needs_torch
def test_a_file_of_hostile_settings_is_refused_or_tamed(tiny, space, tmp_path):
    from core.errors import InputError
    from models import catalogue, exports
    from ui.generate_files import restore
    from ui.generate_view import GenerateView

    entry = catalogue.entry(space.root, tiny)
    image = np.zeros((4, 4, 3), np.uint8)
    look = {"psi": 1.5, "cutoff": None, "depth": None, "noise_seed": 5, "way": "boom"}
    told = {"command": "sample", "look": look, "columns": 999}
    exports.write_png(tmp_path / "a.png", image, told)
    found = GenerateView()
    restore(entry, found, tmp_path / "a.png")
    assert (found.psi, found.noise, found.way, found.columns) == (1.5, 5, "exact", 64)
    for words, wrong in (
        ("psi 9.5", {"look": {**look, "psi": 9.5}}),
        ("psi nan", {"look": {**look, "psi": float("nan")}}),
        ("noise -5", {"look": {**look, "noise_seed": -5}}),
        ("alpha 7.0", {"look": {**look, "alpha": 7}}),
        ("the noise of a file", {"noise": "0f" * 32}),
        ("a mixing with a cutoff", {"command": "mixing", "src": [1], "dst": [2], "layers": [[0]],
                                    "look": {**look, "cutoff": 2}}),
    ):  # fmt: skip
        exports.write_png(tmp_path / "b.png", image, {**told, **wrong})
        found = GenerateView()
        with pytest.raises(InputError, match="does not show") as refused:
            restore(entry, found, tmp_path / "b.png")
        assert words in str(refused.value)
        assert found == GenerateView()
    exports.write_png(tmp_path / "b.png", image, {**told, "latents": "0123456789abcdef"})
    with pytest.raises(InputError, match="There are no latents"):
        restore(entry, GenerateView(), tmp_path / "b.png")
    for wrong in (
        {"command": "mixing"},
        {"command": "depths", "seeds": []},
        {"command": "walk", "seeds": "boom", "frames": "x"},
        {"command": "truncation", "seeds": list(range(0, 9000, 3)), "psis": [0]},
        {"look": {"psi": "x"}},
    ):
        exports.write_png(tmp_path / "b.png", image, wrong)
        with pytest.raises(InputError, match=r"settings in b\.png cannot be read"):
            restore(entry, GenerateView(), tmp_path / "b.png")


@needs_torch
def test_the_pictures_of_a_grid_are_called_by_their_seeds(tiny, open_page):
    app = open_page("generate", model=tiny, seeds="7,40-41")
    assert re.findall(r"<span>(seed \d+)</span>", table(app)) == ["seed 7", "seed 40", "seed 41"]


@needs_torch
def test_the_classes_that_a_model_draws_stand_beneath_its_pictures(tiny, space, open_page):
    assert "ups-classes" not in bodies(open_page("generate", model=tiny, seeds="1"))
    meaning = [{"name": name, "kind": "class", "colour": "#00FF00"} for name in ("a", "<b>", "c")]
    name = make_model(space.root, name="classes", meaning=meaning)
    legend = bodies(open_page("generate", model=name, seeds="1")).split("ups-classes")[-1]
    assert re.findall(r'<i style="background:(.*?)"></i>(.*?)</span>', legend) == [
        ("#00FF00", "a"), ("#00FF00", "&lt;b&gt;"), ("#00FF00", "c")
    ]  # fmt: skip


@needs_torch
def test_runs_without_styles_are_named_where_they_are_missed(tiny, space, open_page):
    assert "are not listed" not in text(open_page("generate", model=tiny, show="models"))
    make_run(space.root / "runs", config())
    app = open_page("generate", model=tiny, show="models")
    assert "Runs of DCGAN and WGAN (1) are not listed" in text(app)


@needs_torch
def test_the_models_at_hand_are_listed(tiny, space, open_page):
    make_model(space.root, name="other", seed=1)
    app = open_page("generate", model=tiny, show="models")
    rows = app.dataframe[0].value
    assert len(rows) == 2
    assert "tiny.pth · 16 px · brought in" in rows["Model"].tolist()
    clean(app.button(key="forget-import/other").click().run())
    assert len(app.dataframe[0].value) == 1
    assert not (space.root / "weights" / "other").exists()


@needs_torch
@pytest.mark.parametrize("show", ["grid", "models"])
def test_row_8_hostile_names_of_models_and_chips_are_text(space, open_page, show):
    """Row 8: no Markdown and no HTML of a name reaches the browser as such."""
    hostile = "![x](https://evil.example/p) <i>"
    name = make_model(space.root, source={"name": hostile}, source_of_data=hostile)
    app = open_page("generate", model=name, show=show, seeds="1", picture="0")
    assert not [text for text in marked(app) if hostile in text]
    bodies = [one.proto.body for one in app.get("html")]
    assert not [body for body in bodies if "<i>" in body and "evil" in body]
    clean(open_page("generate", model=hostile, digest=hostile, show=show))


@needs_torch
def test_a_model_that_comes_with_the_program_is_there_at_the_first_visit(open_page, monkeypatch):
    monkeypatch.setattr(catalogue, "SHIPPED", Path(catalogue.__file__).parent / "shipped")
    app = clean(open_page("generate"))
    assert view(app).model == "shipped/aerial-64"
    assert len(pictures(app)) == 18


@needs_torch
@pytest.mark.parametrize("path", ["/srv/secret/chips.npy", "C:\\secret\\chips.npy"])
def test_of_a_file_that_a_model_learned_from_its_name_alone_is_said(space, open_page, path):
    name = make_model(space.root, source_of_data=path.replace("\\\\", "\\"))
    app = open_page("generate", model=name, seeds="1", picture="0")
    words = text(app) + str([one.value for one in app.metric])
    app = open_page("generate", model=name, show="models")
    words += app.dataframe[0].value.to_string()
    assert words.count("chips.npy") >= 2
    assert "secret" not in words


@needs_torch
def test_depths_say_from_which_to_which_size_their_pictures_are(tiny, open_page):
    app = open_page("generate", model=tiny, show="depths")
    assert "3 pictures of 4–16 px" in text(app)
