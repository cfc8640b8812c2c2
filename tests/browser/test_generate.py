"""Generating in the browser: links to the pixel, the newest request, previews, files, screens."""

import hashlib
import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.screen import NARROW, WIDE, visiting, wait_settled
from tests.browser.server import running_server
from tests.pages.tiny_model import make_model

HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "safetensors"))
pytestmark = pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
PICTURES = ".ups-pictures img"


@pytest.fixture
def tiny(server):
    """A tiny model in the server's workspace, gone after the test."""
    name = make_model(server.workspace, size_px=32)
    yield name
    shutil.rmtree(server.workspace / "weights")


@pytest.fixture
def second(browser, server):
    """A second window, of another browser session."""
    with visiting(browser, server.url) as opened:
        yield opened


def sources(page):
    """Return a digest of each picture's bytes."""
    expect(page.locator(PICTURES).first).to_be_visible()
    wait_settled(page)
    found = page.locator(PICTURES).evaluate_all("all => all.map(one => one.src)")
    return [hashlib.sha256(one.encode()).hexdigest() for one in found]


def fits(visit, show, language="en"):
    """Assert that a part opens with its pictures in sight and nothing beside the window."""
    width, height = visit.page.viewport_size["width"], visit.page.viewport_size["height"]
    page = visit.open("generate", model="import/tiny", show=show, language=language)
    expect(page.locator(PICTURES).first).to_be_visible()
    assert page.locator(PICTURES).evaluate_all(
        "all => all.every(one => one.complete && one.naturalWidth > 0)"
    )
    assert page.locator(PICTURES).first.bounding_box()["y"] < height - 100
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.every_screen
@pytest.mark.parametrize("show", ["grid", "mixing"])
def test_a_part_fits_the_window(visit, tiny, show, language):
    fits(visit, show, language)


def test_the_other_parts_fit_the_window(visit, tiny):
    for show in ("truncation", "walk", "sum", "depths"):
        fits(visit, show)


def test_a_link_gives_the_same_bytes_in_another_session(visit, second, tiny):
    page = visit.open("generate", model=tiny, seeds="1-4", noise="3")
    slider = page.get_by_role("slider").first
    slider.press("ArrowLeft")
    page.wait_for_function("location.search.includes('psi=0.65')")
    mine = sources(page)
    query = page.evaluate("location.search")
    assert {"digest=", "way=exact", "noise=3"} <= set(
        re.findall(r"digest=|way=exact|noise=3", query)
    )
    second.page.goto(f"{second.base_url}/generate{query}")
    assert sources(second.page) == mine


def saved_png(page):
    with page.expect_download() as started:
        page.get_by_role("button", name="PNG with its settings").click()
    return Path(started.value.path()).read_bytes()


def test_a_link_gives_the_same_bytes_after_a_restart(browser, tmp_path):
    """Two sessions of one server and one of the next: the pictures, and the file that is saved."""
    link = {"show": "mixing", "sources": "1,2", "destinations": "3", "noise": "5", "first": "1"}
    found, name = [], ""
    for sessions in (2, 1):
        with running_server(tmp_path) as started:
            if not found:
                name = make_model(started.workspace, size_px=32)
            for _session in range(sessions):
                with visiting(browser, started.url) as opened:
                    page = opened.open("generate", model=name, **link)
                    found.append((sources(page), saved_png(page)))
    assert len(found[0][0]) == 5
    assert found[0] == found[1] == found[2]


def test_the_newest_of_many_moves_is_what_stands_there_at_last(visit, second, tiny):
    page = visit.open("generate", model=tiny, seeds="0-35")
    slider = page.get_by_role("slider").first
    for _ in range(12):
        slider.press("ArrowLeft", delay=10)
    page.wait_for_function("location.search.includes('psi=0.1&')")
    found = sources(page)
    other = second.open("generate", model=tiny, seeds="0-35", psi="0.1")
    assert sources(other) == found
    expect(page.locator(".ups-pictures .note")).to_have_count(0)  # no preview is left behind


def test_the_png_says_what_it_was_made_of(visit, tiny):
    from models import exports

    page = visit.open("generate", model=tiny, seeds="5,6", psi="0.5")
    told = exports.settings_of(saved_png(page))
    assert (told["command"], told["seeds"]) == ("sample", [5, 6])
    assert (told["look"]["psi"], told["look"]["way"]) == (0.5, "exact")
    json.dumps(told)


def test_a_saved_file_of_latents_opens_again(visit, tiny, tmp_path):
    page = visit.open("generate", model=tiny, seeds="7-9", psi="0.5")
    before = sources(page)
    with page.expect_download() as started:
        page.get_by_role("button", name="Latents, NPZ").click()
    started.value.save_as(tmp_path / "z.npz")
    other = visit.open("generate", model=tiny, seeds="1", psi="1")
    other.get_by_role("button", name="Open a file").click()
    other.locator("input[type=file]").set_input_files(tmp_path / "z.npz")
    expect(other.get_by_text("3 latents of a file")).to_be_visible()
    assert sources(other) == before
    assert "latents=" in other.evaluate("location.search")


def test_every_part_can_be_left_for_the_next(visit, tiny):
    page = visit.open("generate", model=tiny, show="mixing")
    expect(page.locator(PICTURES).first).to_be_visible()
    page.locator("[data-testid=stButtonGroup] button", has_text="Walk").click()
    page.wait_for_function("location.search.includes('show=walk')")
    page.locator("[data-testid=stButtonGroup] button", has_text="Mixing").click()
    page.wait_for_function("location.search.includes('show=mixing')")
    expect(page.get_by_text("layers 0–3 from the sources")).to_be_visible()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1400", "900"])
def test_each_end_of_the_range_of_layers_stands_above_its_box(visit, tiny, size):
    page = visit.open("generate", model=tiny, show="mixing", first="1", last="6")
    boxes = page.locator(".ups-strip b").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(one => (one.left + one.right) / 2)"
    )
    ends = page.locator(".st-key-generate-layers [data-testid=stSliderThumbValue]").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(one => (one.left + one.right) / 2)"
    )
    assert ends == pytest.approx([boxes[1], boxes[6]], abs=8)


@pytest.mark.parametrize("size", [NARROW], ids=["900"])
def test_the_name_of_a_model_is_read_whole(visit, size):
    page = visit.open("generate", model="shipped/aerial-64")
    name = page.get_by_label("Model", exact=True).first
    assert "comes with the program" in name.input_value()
    assert name.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_a_part_that_is_left_is_gone_at_once(visit, tiny):
    """However long the figure of the next one takes."""
    page = visit.open("generate", model=tiny)
    expect(page.get_by_text("Closest real places of")).to_be_visible()
    page.evaluate(
        """() => {
            window.mixed = 0;
            new MutationObserver(() => {
                const text = document.body.innerText;
                if (text.includes("Seeds, one a row") && text.includes("Closest real places of")) {
                    window.mixed += 1;
                }
            }).observe(document.body, {childList: true, subtree: true, characterData: true});
        }"""
    )
    page.locator("[data-testid=stButtonGroup] button", has_text="Truncation").click()
    expect(page.get_by_text("psi moves all layers")).to_be_visible()
    assert page.evaluate("window.mixed") == 0


def test_a_walk_moves_from_frame_to_frame(visit, tiny):
    """Four seeds and two frames each: of the four by two places it is seen at several."""
    page = visit.open("generate", model=tiny, show="walk", stops="0-3", frames="2")
    film = page.locator('[class^="ups-film"]')
    film.wait_for()
    seen = set()
    for _look in range(40):
        seen.add(film.evaluate("one => getComputedStyle(one).backgroundPosition"))
        page.wait_for_timeout(30)
    assert len(seen) > 3
    assert seen <= {f"{x}% {y}%" for x in ("0", "100") for y in ("0", "33.3333", "66.6667", "100")}
