"""Generate: the training chips nearest to a picture."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1.element_tree import Selectbox

from core.chips.channels import Channel
from core.chips.display import to_pictures
from tests.core.chip_sources import cut
from tests.pages.said import button, clean, only, text
from tests.pages.test_generate import bodies, expected, needs_torch, pictures
from tests.pages.tiny_model import make_model


@pytest.fixture
def small(space, tmp_path):
    """A set of six chips, of which the third is the picture of seed 3 of the model `tiny`."""
    from core.chips.imports import import_set

    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    name = make_model(space.root, source_of_data="small")
    (own,) = expected(space.root, name, [3], psi=0.7)
    for number in range(6):
        image = own if number == 2 else rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    return import_set(space, "small", tmp_path / "images")


@needs_torch
def test_the_closest_places_of_a_copy_are_found_at_no_distance(small, open_page):
    app = open_page("generate", model="import/tiny", seeds="3", picture="0")
    assert "chip 2: 0.0" in bodies(app)


@needs_torch
def test_while_a_slider_moves_nothing_is_looked_for_until_somebody_asks(
    small, open_page, monkeypatch
):
    from models import closest

    asked = []
    found = closest.closest
    monkeypatch.setattr(
        "models.closest.closest", lambda *args, **more: asked.append(1) or found(*args, **more)
    )
    app = open_page("generate", model="import/tiny", seeds="3", picture="0")
    assert len(asked) == 1
    only(app.slider, "psi, distance from the mean").set_value(0.2)
    clean(app.run())
    assert len(asked) == 1
    assert "chip 2" not in bodies(app)
    assert "has changed since" in text(app)
    clean(button(app, "Look for the closest places of this one").click().run())
    assert len(asked) == 2
    assert "chip 2" in bodies(app)
    only(app.slider, "psi, distance from the mean").set_value(0.25)
    clean(app.run())
    assert len(asked) == 2


@needs_torch
@pytest.mark.parametrize("is_same", [True, False])
def test_other_chips_of_the_same_name_are_not_taken_for_the_models_own(
    small, space, open_page, is_same
):
    place = space.root / "weights" / "tiny" / "checkpoint.json"
    body = json.loads(place.read_text())
    place.write_text(json.dumps({**body, "data": small.digest if is_same else "0" * 64}))
    app = open_page("generate", model="import/tiny", seeds="3", picture="0")
    assert ("chip 2: 0.0" in bodies(app)) == is_same
    assert ("are not those that this model was trained on" in text(app)) != is_same
    assert pictures(app)


@needs_torch
@pytest.mark.parametrize(("side_m", "is_alike"), [(32.0, True), (64.0, False)])
def test_without_a_digest_chips_of_another_scale_are_not_the_models_own(
    small, space, open_page, side_m, is_alike
):
    """A pixel of the model is 2 m: chips of 16 px are 32 m wide."""
    place = space.root / "chips" / "small" / "set.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "side_m": side_m}))
    app = open_page("generate", model="import/tiny", seeds="3", picture="0")
    assert ("chip 2: 0.0" in bodies(app)) == is_alike
    assert ("A pixel of all of them is 2 m." in text(app)) == is_alike
    assert ("are not those that this model was trained on" in text(app)) != is_alike


@needs_torch
def test_where_the_models_own_chips_are_not_here_others_that_are_alike_will_do(
    small, space, open_page
):
    make_model(space.root, name="far", seed=5, source_of_data="elsewhere")
    app = open_page("generate", model="import/far", seeds="3", picture="0")
    assert "(elsewhere) are not in this workspace" in text(app)
    assert "chip" not in bodies(app)
    box = only(app.selectbox, "Look among other chips instead")
    assert box.options == ["small"]
    box.set_value("small")
    assert re.search(r"1\. chip \d: [\d.]+", bodies(clean(app.run())))
    make_model(space.root, name="wide", size_px=32, source_of_data="elsewhere")
    app = open_page("generate", model="import/wide", seeds="3", picture="0")
    button(app, "Cut chips on the Chips page").click()
    assert "What will the networks learn from?" in text(clean(app.run()))


@needs_torch
def test_a_choice_that_has_become_another_meanwhile_is_forgotten(small, open_page, monkeypatch):
    """The browser goes on sending the words of its choice when they are no choice any more."""
    app = open_page("generate", model="import/tiny", seeds="3", picture="0")
    only(app.text_input, "Seeds").set_value("8,9")
    stale = only(app.selectbox, "Closest real places of").set_value("seed 3")._widget_state
    clean(app.run())
    before = Selectbox._widget_state
    monkeypatch.setattr(
        Selectbox,
        "_widget_state",
        property(lambda box: stale if "Closest" in box.label else before.fget(box)),
    )
    for psi in (0.2, 0.4):
        only(app.slider, "psi, distance from the mean").set_value(psi)
        clean(app.run())
    assert app.session_state["app_state"].generate.picture is None


CLASSES = (
    Channel(name="low", kind="class", low=0, high=1, band=2, code=3, colour="#FF0000"),
    Channel(name="seven", kind="class", low=0, high=1, band=2, code=7, colour="#00FF00"),
)


def brute(chips, picture, numbers):
    """Return the distance of a picture to each of some chips, pixel by pixel."""
    read = chips.read(numbers, picture.shape[1]).astype(float)
    return np.sqrt(np.square(read - picture).mean(axis=(1, 2, 3)))


@needs_torch
@pytest.mark.parametrize("channels", [None, CLASSES], ids=["image", "classes"])
def test_chips_held_back_for_the_test_are_none_of_the_closest_and_tell_what_is_usual(
    space, open_page, monkeypatch, channels
):
    """On cut chips with a place: five of the training, by brute force, and on the map."""
    from models import catalogue, generate, latents, loaded

    chips = cut(space.root, channels=channels, count=60, test_share=0.3)
    train, held = chips.indices("train"), chips.indices("test")
    assert len(held) > 4
    name = make_model(
        space.root, source_of_data="set", channels=len(chips.info.channels), data=chips.info.digest
    )
    drawn = []
    monkeypatch.setattr("ui.maps.show", lambda *_args, **_more: None)
    monkeypatch.setattr("ui.chip_map.chips_overlay", lambda *_args, **more: drawn.append(more))
    app = open_page("generate", model=name, seeds="3-4", picture="1", psi="1")
    model = loaded.load(catalogue.entry(space.root, name).folder)
    made = generate.grid(model, latents.of_seeds([4], 8), generate.Look())
    far = brute(chips, generate.as_bytes(made)[0], train)
    order = np.argsort(far, kind="stable")[:5]
    found = re.findall(r"(\d)\. chip (\d+): ([\d.]+)", bodies(app))
    assert [int(chip) for _, chip, _ in dict.fromkeys(found)] == train[order].tolist()
    assert [value for _, _, value in dict.fromkeys(found)] == [f"{far[at]:.1f}" for at in order]
    usual = np.median([brute(chips, one, train).min() for one in chips.read(held, 16)])
    assert f"held back for the test lie within {usual:.1f} of" in text(app)
    (squares,) = (one["squares"] for one in drawn)
    assert [one.label for one in squares] == ["1", "2", "3", "4", "5"]
    strip = pictures(app)[-6:]
    if channels:  # in the colours of the classes, the picture too
        assert {tuple(pixel) for one in strip for pixel in one.reshape(-1, 3)} <= {
            (255, 0, 0), (0, 255, 0), (0, 0, 0)
        }  # fmt: skip
    shown = to_pictures(chips.read(train[order], 16), chips.info.channels)
    assert np.array_equal(strip[1:], shown)
