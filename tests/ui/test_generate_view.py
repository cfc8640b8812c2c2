"""What the Generate page's address holds: read back as written, hostile values passed over."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from models.catalogue import Entry
from models.style_config import StyleNetworks
from ui.generate_files import apply_settings
from ui.generate_view import (
    SHOWN,
    GenerateView,
    address_of,
    fit,
    number_text,
    read_address,
    resolved,
    sum_read,
)


def again(view):
    found = GenerateView()
    read_address(found, address_of(view))
    return found


@pytest.mark.parametrize("shown", SHOWN)
def test_an_address_restores_what_the_figure_follows_from(shown):
    view = GenerateView(shown=shown, model="run/a/10", digest="12ab", noise=None, way="plain",
                        depth=3, alpha=0.375, metres=0.5)  # fmt: skip
    assert again(view) == view


def test_every_figure_keeps_its_own_values():
    for view in (
        GenerateView(model="m", seeds="3,5", psi=0.123456789012345, cutoff=4, columns=2, picture=1),
        GenerateView(model="m", shown="truncation", rows="7", psis="-2:2:0.5", measured=64),
        GenerateView(model="m", shown="mixing", sources="1", destinations="2", source_psis="-0.5",
                     destination_psis="0.7", first=2, last=5, written="0-4,5-9", reading="tuples"),
        GenerateView(model="m", shown="walk", stops="4,9", frames=24, frame=3, psi=1.0),
        GenerateView(model="m", shown="sum", terms="3 - 8"),
        GenerateView(model="m", shown="depths", one=2**32 - 1),
    ):  # fmt: skip
        assert again(view) == view


def test_a_link_holds_digest_way_and_noise_even_where_they_are_the_defaults():
    found = address_of(GenerateView(model="shipped/x", digest="0f"))
    assert found["digest"] == "0f"
    assert (found["way"], found["noise"], found["psi"]) == ("exact", "0", "0.7")


def test_links_of_other_pages_are_not_read():
    view = GenerateView()
    read_address(view, {"columns": "9", "rows": "1"})
    assert view == GenerateView()
    read_address(view, {"show": "walk"})
    assert view == GenerateView(shown="walk")


@given(st.dictionaries(
    st.sampled_from(["model", "show", "psi", "depth", "alpha", "noise", "way", "metres", "seeds",
                     "cutoff", "columns", "picture", "reading", "first", "frames", "latents"]),
    st.text(max_size=300),
))  # fmt: skip
def test_row_4_hostile_addresses_leave_a_view_that_can_be_written(found):
    """Row 4: whatever stands in a link, the view stays one of its kinds."""
    view = GenerateView()
    read_address(view, found)
    assert view.shown in SHOWN
    assert view.way in ("exact", "plain")
    assert view.reading in ("ranges", "tuples")
    assert isinstance(view.psi, float)
    assert view.noise is None or 0 <= view.noise < 2**32
    assert view.metres is None or 0.01 <= view.metres <= 10_000
    assert -2 <= view.psi <= 2
    assert view.alpha is None or 0 <= view.alpha <= 1
    assert 0 <= view.columns <= 64
    assert 1 <= view.frames <= 24
    assert all(isinstance(text, str) for text in address_of(view).values())


def test_sums_are_read_with_signs_and_weights():
    assert sum_read("3 - 8 + 0.5*20") == [(1.0, 3), (-1.0, 8), (0.5, 20)]
    assert sum_read("−2×4+1") == [(-2.0, 4), (1.0, 1)]
    for wrong in ("", "a", "3 -", "3 * 4 *5", "99*3", "+".join("1" * 13), "3 - 8 20", "1 2"):
        with pytest.raises(InputError, match="no sum of seeds"):
            sum_read(wrong)


def test_the_settings_of_the_command_line_are_shown_again():
    look = {"psi": 0.5, "cutoff": None, "depth": 2, "alpha": 1.0, "noise_seed": 7, "way": "exact"}
    view = GenerateView()
    apply_settings(view, {
        "command": "mixing", "model": "ab" * 32, "look": look, "src": [1, 2, 3, 8],
        "dst": [5], "src_psi": None, "dst_psi": [0.5], "reading": "tuples", "layers": [[0, 5]],
    })  # fmt: skip
    assert (view.shown, view.sources, view.destinations) == ("mixing", "1-3,8", "5")
    assert (view.source_psis, view.destination_psis, view.written) == ("1", "0.5", "0-5")
    assert (view.depth, view.noise, view.digest, view.reading) == (2, 7, "ab" * 8, "tuples")
    apply_settings(view, {"command": "truncation", "seeds": [0, 1], "psis": [-1.0, 0.0]})
    assert (view.shown, view.rows, view.psis) == ("truncation", "0-1", "-1,0")


@pytest.mark.parametrize("value", [1 / 3, 0.1 + 0.2, 1e-7, -1.0, 123456.789, 0.7])
def test_numbers_are_written_so_that_they_are_read_as_the_same(value):
    assert float(number_text(value)) == value
    assert "e" not in number_text(value)


def entry(depth=2, alpha=0.25):
    networks = StyleNetworks(size_px=32, widths=(8,) * 4, critic_widths=(8,) * 4)
    return Entry(id="import/a", title="a", kind="import", folder=Path("a"), digest="0f",
                 networks=networks, depth=depth, alpha=alpha)  # fmt: skip


def test_a_link_names_depth_and_share_though_the_view_leaves_them_to_the_model():
    found = address_of(resolved(GenerateView(model="m"), entry()))
    assert (found["depth"], found["alpha"]) == ("2", "0.25")
    found = address_of(resolved(GenerateView(model="m", depth=1), entry()))
    assert (found["depth"], found["alpha"]) == ("1", "1")
    view = again(resolved(GenerateView(model="m"), entry()))
    fit(view, entry())
    assert (view.depth, view.alpha) == (None, None)
    view = again(resolved(GenerateView(model="m"), entry()))
    fit(view, entry(depth=3, alpha=1.0))  # the same weights, kept with another depth
    assert (view.depth, view.alpha) == (2, 0.25)


def test_what_another_model_had_is_brought_into_what_this_one_has():
    view = GenerateView(depth=9, cutoff=18)
    fit(view, entry())
    assert (view.depth, view.cutoff) == (3, None)


def test_layers_that_a_model_has_not_are_left_out():
    """Three of its four depths were trained: six layers, the last is 5."""
    view = GenerateView(first=2, last=8)
    fit(view, entry())
    assert (view.first, view.last) == (2, 5)
    view = GenerateView(first=90, last=99, depth=3)
    fit(view, entry())
    assert (view.first, view.last) == (7, 7)
