import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.legends import (
    CHICAGO_LAND_COVER,
    ESA_WORLDCOVER,
    IO_LULC,
    PRESETS,
    LegendClass,
    fitting_preset,
    numbered_legend,
    read_legend_csv,
)

# -- colours --------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009), "A Physiologically-based Model for Simulation of Color
# Vision Deficiency", IEEE TVCG 15(6), severity 1.0, for linear RGB.
VISION = {
    "trichromacy": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# IEC 61966-2-1, white D65.
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab(colours, vision):
    """CIELAB of `#RRGGBB` as somebody with `vision` sees them; (N, 3)."""
    srgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ VISION[vision].T, 0, 1)
    xyz = seen @ TO_XYZ.T / TO_XYZ.sum(axis=1)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.column_stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])]
    )


def test_lab_by_hand():
    # White, black and pure red of sRGB under D65 (Lindbloom's calculator: 53.24, 80.09, 67.20).
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]]
    np.testing.assert_allclose(
        lab(["#FFFFFF", "#000000", "#FF0000"], "trichromacy"), expected, atol=0.02
    )


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(
    ("legend", "limit"),
    [
        # About 2.3 is just noticeable (Mahy et al. 1994); patches apart in a map need far more.
        pytest.param(CHICAGO_LAND_COVER, 20, id="land-cover"),
        pytest.param(numbered_legend(range(12)), 12, id="unnamed-classes"),
    ],
)
def test_classes_differ_with_every_kind_of_colour_vision(legend, limit, vision):
    shown = [entry for entry in legend if entry.colour]
    seen = lab([entry.colour for entry in shown], vision)
    distances = {
        (shown[i].name, shown[j].name): np.linalg.norm(seen[i] - seen[j])
        for i, j in itertools.combinations(range(len(shown)), 2)
    }
    closest = min(distances, key=distances.get)
    assert distances[closest] >= limit, closest


def test_the_check_finds_the_pair_that_red_blind_people_confuse():
    colours = {entry.name: entry.colour for entry in ESA_WORLDCOVER}
    one, two = lab([colours["Tree cover"], colours["Built-up"]], "protanopia")
    assert np.linalg.norm(one - two) < 3


@pytest.mark.parametrize("colour", ["red", "#FFF", "#12345G", "1B7837", "#1B783700", "<b>", " "])
def test_a_colour_that_is_none_is_refused(colour):
    with pytest.raises(InputError, match="Write it as #RRGGBB"):
        LegendClass(1, "a", colour)


# -- presets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_each_code_and_name_once(name):
    title, legend = PRESETS[name]
    codes = [entry.code for entry in legend]
    assert codes == sorted(set(codes))
    assert len({entry.name for entry in legend}) == len(legend)
    assert title


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "chicago-land-cover"),
        ([1, 2], "chicago-land-cover"),
        ([1, 2, 4, 5, 7, 8, 9, 10, 11], "io-lulc"),
        ([10, 20, 50, 95], "esa-worldcover"),
        ([1, 57], None),
        ([], None),
    ],
)
def test_the_preset_that_names_all_codes_is_found(codes, expected):
    assert fitting_preset(codes) == expected


def test_the_makers_codes_are_as_published():
    assert {e.code for e in ESA_WORLDCOVER} == {10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100}
    assert {e.code for e in IO_LULC} == {0, 1, 2, 4, 5, 7, 8, 9, 10, 11}


def test_codes_without_a_name_get_a_colour_each():
    legend = numbered_legend([57, 3, 3, *range(10, 46)])
    assert [entry.code for entry in legend] == [3, *range(10, 46), 57]
    assert len({entry.colour for entry in legend}) == 38


# -- CSV ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "code,name,colour\n1,Trees,#1B7837\n2,Water,\n",
        "\ufeffcode,name,colour\r\n1,Trees,#1B7837\r\n2,Water,\r\n",
        "Colour, Name ,CODE,note\n#1B7837,Trees,1,x\n,Water,2,y\n",
        "code;name;color\n2;Water;\n1;Trees;#1B7837\n",
        "code\tname\tcolour\r1\tTrees\t#1B7837\r2\tWater\t\r",
        'code,name,colour\n1,"Trees",#1B7837\n2,Water\n',
    ],
    ids=["plain", "windows", "any-order", "semicolons", "tabs-and-old-mac", "short-row"],
)
def test_a_legend_is_read_from_csv(text):
    assert read_legend_csv(text) == (
        LegendClass(1, "Trees", "#1B7837"),
        LegendClass(2, "Water", ""),
    )


def test_without_a_colour_column_colours_differ_and_names_fall_back_to_codes():
    legend = read_legend_csv('code,name\n-1,"a, b"\n5,\n')
    assert [(entry.code, entry.name) for entry in legend] == [(-1, "a, b"), (5, "5")]
    assert len({entry.colour for entry in legend}) == 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no column named code"),
        ("a,b\n1,2\n", "no column named code"),
        ("code,name\n", "needs 1 to 256 classes, this one has 0"),
        ("code,name\n1,a\n1,b\n", "Line 3: code 1 comes twice"),
        ("code,name\n1.5,a\n", "Line 2: '1.5' is no whole number"),
        ("code,name\n,a\n", "Line 2: '' is no whole number"),
        ("code,name,colour\n1,a,green\n", "'green' is no colour"),
        ("code,name\n" + "".join(f"{i},a\n" for i in range(257)), "this one has 257"),
        ("code,name\n1," + "x" * 200_000, "Line 2 of the legend cannot be read"),
    ],
)
def test_a_legend_that_cannot_be_used_says_why(text, match):
    with pytest.raises(InputError, match=match):
        read_legend_csv(text)


@given(st.text(alphabet=st.sampled_from('code,name;\t"\n\r#01Aé{}'), max_size=80))
def test_any_text_is_a_legend_or_refused(text):
    try:
        assert read_legend_csv("code,name\n" + text)
    except InputError as err:
        assert str(err)


def test_markup_in_names_stays_text():
    """Row 8, as far as reading goes."""
    assert read_legend_csv("code,name\n1,<script>\n")[0].name == "<script>"
