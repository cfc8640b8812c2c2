"""What `.streamlit/config.toml` promises: nothing calls home, guards are on, text is legible."""

import tomllib
from pathlib import Path

import pytest
import streamlit.config as streamlit_config

from core.settings import Settings

ROOT = Path(__file__).parent.parent
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


def test_row_24_requests_from_other_sites_and_oversized_uploads_are_refused():
    """row 24: XSRF and CORS protection are on, the upload limit is the one of the settings."""
    server = CONFIG["server"]
    assert server["enableXsrfProtection"] is True
    assert server["enableCORS"] is True
    assert server["maxUploadSize"] == Settings().upload_mb


def test_streamlit_asks_nothing_of_the_outside_world():
    assert CONFIG["browser"]["gatherUsageStats"] is False
    # The welcome message asks an outside host for this machine's address.
    assert CONFIG["logger"]["hideWelcomeMessage"] is True


def test_no_file_is_served_that_no_route_names():
    assert CONFIG["server"]["enableStaticServing"] is False


def test_no_font_or_theme_is_fetched_from_an_address():
    assert "://" not in (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")


def test_every_option_is_one_that_streamlit_knows():
    known = set(streamlit_config.get_config_options())
    assert set(_flat(CONFIG)) <= known


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_accent_can_be_read(mode):
    theme = CONFIG["theme"][mode]
    background = theme["backgroundColor"]
    assert contrast(theme["textColor"], background) >= 7
    assert contrast(theme["textColor"], theme["secondaryBackgroundColor"]) >= 7
    assert contrast(theme["linkColor"], background) >= 4.5
    assert contrast(theme["primaryColor"], "#FFFFFF") >= 4.5, "white text on a primary button"
    assert contrast(theme["primaryColor"], background) >= 3, "a slider on the page"


def test_contrast_by_hand():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2 between two colours `#RRGGBB`."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _flat(tree: dict, prefix: str = ""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key
