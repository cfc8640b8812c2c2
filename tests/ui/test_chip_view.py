"""What a link to the Chips page holds, and what is drawn of which channels."""

from hypothesis import given
from hypothesis import strategies as st

from core.chips.channels import Channel
from core.chips.selection import WARNINGS, Wanted
from core.chips.sets import SetInfo
from ui.chip_sets import free_name
from ui.chip_view import SHOWN, ChipView, address_of, read_address
from ui.chip_words import bands_of, shown_size

NUMBERS = st.integers(0, 10**6)
SHARES = st.integers(0, 100).map(lambda part: part / 100)


@given(
    shown=st.sampled_from(SHOWN),
    split=st.sampled_from(["", "train", "test"]),
    cover=st.none() | NUMBERS,
    shares=st.tuples(SHARES, SHARES).map(sorted),
    warning=st.sampled_from(["", *WARNINGS]),
    chip=st.none() | NUMBERS,
    page=NUMBERS,
    label=st.text(max_size=20),
    place=st.none() | st.tuples(st.floats(-89, 89), st.floats(-179, 179)),
)
def test_a_link_restores_what_was_seen(shown, split, cover, shares, warning, chip, page, label,
                                       place):  # fmt: skip
    low, high = (0.0, 1.0) if cover is None else shares
    view = ChipView(shown=shown, set_id="a-set", chip=chip, page=page, size_px=16, bands="infrared")
    view.wanted = Wanted(
        split=split, cover=cover, low=low, high=high, warning=warning, label=label, cluster=3,
        date="2009",
    )  # fmt: skip
    view.place = None if place is None else (round(place[0], 6), round(place[1], 6))
    found = ChipView()
    read_address(found, {key: text for key, text in address_of(view).items() if text})
    assert found == view


@given(st.dictionaries(
    st.sampled_from(["view", "set", "split", "cover", "cluster", "label", "date", "warning",
                     "bands", "px", "page", "chip", "place"]), st.text(max_size=30)))  # fmt: skip
def test_any_address_is_read_without_a_fault(address):
    """Row 4: what is no valid value is passed over."""
    view = ChipView()
    read_address(view, address)
    assert view.shown in SHOWN
    assert view.page >= 0
    assert 0 <= view.wanted.low <= view.wanted.high <= 1


def test_the_first_view_needs_no_words_in_the_address():
    assert not any(address_of(ChipView()).values())


def channels(*names, kind="image"):
    return tuple(Channel(name=name, kind=kind, band=band) for band, name in enumerate(names))


def test_channels_are_drawn_in_the_order_of_their_meaning():
    four = channels("green", "red", "blue", "nir")
    assert bands_of("infrared", four) == (3, 1, 0)
    assert bands_of("2", four) == (2,)
    assert bands_of("", four) == bands_of("natural", four) == ()
    assert bands_of("9", four) == bands_of("<b>", four) == ()
    assert bands_of("infrared", channels("red", "green", "blue")) == ()


def test_chips_are_drawn_at_their_size_but_not_above_128():
    info = SetInfo(id="a", created="", made="cut", count=1, splits={"train": 1}, dtype="uint8",
                   sizes=(4, 8, 16, 32, 64, 128, 256), channels=channels("grey"))  # fmt: skip
    assert shown_size(info, 0) == 128
    assert shown_size(info, 16) == 16
    assert shown_size(info, 17) == 128


def test_a_new_set_gets_a_free_name():
    assert free_name("Aerial 64", []) == "aerial-64"
    assert free_name("Aerial 64", ["aerial-64", "aerial-64-2"]) == "aerial-64-3"
    assert free_name("航片", []).startswith("chips-")
