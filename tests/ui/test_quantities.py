import pytest

from ui import quantities
from ui.errors import plain


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(quantities, "_", lambda text: text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(820, "820 B"), (14_200, "14 kB"), (3_240_000, "3.2 MB"), (1.44e9, "1.4 GB")],
)
def test_sizes_are_short(size, text):
    assert quantities.size_text(size) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "m", "missing"),
        (float("nan"), "m", "missing"),
        (0.0, "", "0"),
        (21.53794, "°C", "21.54 °C"),
        (299.987, "K", "300.0 K"),
        (1234567.0, "", "1,234,567"),
        (0.00012345, "", "0.000123"),
        (-3.14159, "m", "-3.142 m"),
    ],
)
def test_values_have_four_figures_and_their_unit(value, unit, text):
    assert quantities.value_text(value, unit) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.1234, "12.3 %"), (0.0004, "< 0.1 %"), (0.9996, "> 99.9 %")],
)
def test_a_small_share_never_reads_as_none_nor_a_large_one_as_all(share, text):
    assert quantities.share_text(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.2, "about 5 s left"), (18, "about 20 s left"), (150, "about 2 min left")],
)
def test_times_left_are_human(seconds, text):
    assert quantities.left_text(seconds) == text


def test_markup_in_a_file_name_is_shown_as_text():
    assert plain("<b>*x*</b> [a](b) $y$") == r"\<b\>\*x\*\</b\> \[a\](b) \$y\$"
