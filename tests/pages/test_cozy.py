"""Cozy zones: the job, controls that redraw at once, seasons, the document's reading, links."""

import shutil
from dataclasses import replace

import pytest

from core import cozy_steps, jobs
from core.cozy_steps import cozy_zone, season_column
from core.quadrat_table import Options, quadrat_table
from tests.core.valley import AREA, make_valley, permuted, summed_up
from tests.pages.said import button, clean, only, tables, text
from tests.pages.test_quadrats import ended, figures
from ui.quantities import value_text

FIND = "Find hot spots of both seasons and the cozy zone"
NOT_THERE = "Hot and cold spots of the two seasons are not there yet for these settings."


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The valley, its squares summed up and permuted."""
    space = make_valley(tmp_path_factory.mktemp("valley") / "space")
    permuted(space)
    return space.root


@pytest.fixture
def valley(space, template):
    shutil.copytree(template, space.root)
    return space


@pytest.fixture
def bare(space):
    """The valley without anything computed."""
    return make_valley(space.root)


def zone(space, **options):
    area = space.area(AREA)
    made = quadrat_table(space, area, Options())
    return cozy_zone(space, area, made, cozy_steps.Options(**options), Options())


def cozy_squares(app):
    return int(figures(clean(app))["Cozy squares"])


def view(app):
    return app.session_state["app_state"].cozy_view(AREA)


def no_jobs(space):
    return not list(jobs.jobs(space.root / "jobs"))


def test_without_an_area_the_page_leads_to_start(space, open_page):
    app = open_page("cozy")
    assert "There is no study area yet" in text(app)
    button(app, "Choose or make one").click().run()
    assert "Which city do we look at?" in text(clean(app))


def test_while_the_simulated_area_is_analysed_the_page_says_that_it_will_come(
    bare, open_page, monkeypatch
):
    monkeypatch.setattr("ui.default_area.DEFAULT_AREA", AREA)
    monkeypatch.setattr("ui.default_area.running_default_area", lambda: "job")
    assert "appears here by itself" in text(open_page("cozy"))
    summed_up(bare)
    app = clean(open_page("cozy"))
    assert "appears here by itself" in text(app)
    assert not app.button
    next(one for one in app.number_input if one.label == "Seed").set_value(7)
    assert "appears here by itself" not in text(clean(app.run()))


def test_layers_that_are_not_summed_up_lead_to_quadrats(bare, open_page):
    app = open_page("cozy")
    assert "The layers of Valley are not summed up in squares yet." in text(app)
    button(app, "Sum them up on the Quadrats page").click().run()
    assert "About 400 squares." in text(clean(app))


def test_spots_are_found_as_a_job_and_then_shown(bare, open_page):
    summed_up(bare)
    app = open_page("cozy")
    assert NOT_THERE in text(app)
    button(app, FIND).click().run()
    assert not [b for b in clean(app).button if b.label == FIND]  # not twice
    ended(bare, app)
    assert cozy_squares(app) == zone(bare).zone.count
    assert (bare.folder(AREA) / "cozy.parquet").is_file()
    assert "Done: Looking for hot and cold spots" in text(app)


def test_what_was_found_before_is_shown_at_once(valley, open_page):
    app = open_page("cozy")
    found = zone(valley)
    shown = figures(app)
    assert shown["Cozy squares"] == str(found.zone.count)
    assert shown["Patches"] == str(len(found.patches)) == "2"  # the wood and the lake
    assert shown["Moran's I, summer | winter"] == (
        f"{found.summer.whole.statistic:.3f} | {found.winter.whole.statistic:.3f}"
    )
    told = f"engine ranks, {value_text(99_999.0)} permutations, seed 0, queen neighbours"
    assert told in text(app)


def test_level_correction_and_neighbours_change_the_zone_without_a_job(valley, open_page):
    app = open_page("cozy")
    only(app.sidebar.slider, "Level of significance").set_value(0.2).run()
    assert cozy_squares(app) == zone(valley, level=0.2).zone.count
    only(app.sidebar.selectbox, "Correction for many tests").set_value("none").run()
    assert cozy_squares(app) == zone(valley, level=0.2, correction="none").zone.count
    only(app.sidebar.get("button_group"), "Neighbours").set_value("rook").run()
    chosen = {"level": 0.2, "correction": "none", "weights": "rook"}
    assert cozy_squares(app) == zone(valley, **chosen).zone.count
    assert zone(valley).zone.count < zone(valley, level=0.2, correction="none").zone.count
    assert no_jobs(valley)


def test_other_permutations_ask_for_the_job_first(valley, open_page):
    app = open_page("cozy")
    only(app.sidebar.number_input, "Permutations").set_value(999).run()
    assert NOT_THERE in text(clean(app))
    button(app, FIND).click().run()
    ended(valley, app)
    assert "999 permutations" in text(app)


def test_seasons_come_from_the_layers_and_can_be_changed(valley, open_page):
    app = open_page("cozy")
    summer = only(app.sidebar.selectbox, "Summer")
    winter = only(app.sidebar.selectbox, "Winter")
    assert (summer.value, winter.value) == ("warm_mean", "cool_mean")
    assert summer.options == ["Storeys: mean", "In July: mean", "In January: mean"]
    summer.set_value("cool_mean").run()
    winter = only(app.sidebar.selectbox, "Winter")
    winter.set_value("warm_mean").run()
    # Both seasons were permuted before: the other way round they answer at once.
    assert cozy_squares(app) == zone(valley, summer="cool_mean", winter="warm_mean").zone.count
    assert no_jobs(valley)


def test_an_area_without_seasons_says_what_to_do_and_lets_columns_be_chosen(space, open_page):
    summed_up(make_valley(space.root, has_seasons=False))
    app = open_page("cozy")
    (error,) = app.error
    assert "No layer of Valley is marked as temperature in summer" in error.value
    assert "on the Data page, or choose a column" in error.value
    assert not [b for b in app.button if b.label == FIND]
    only(app.sidebar.selectbox, "Summer").set_value("warm_mean").run()
    assert "No layer of Valley is marked as temperature in winter" in clean(app).error[0].value
    only(app.sidebar.selectbox, "Winter").set_value("cool_mean").run()
    assert not clean(app).error
    button(app, FIND).click().run()
    ended(space, app)
    assert cozy_squares(app) > 0


def test_the_document_s_method_offers_no_correction(space, open_page):
    made = make_valley(space.root, method="document")
    permuted(made)
    app = open_page("cozy", correction="bh")
    correction = only(app.sidebar.selectbox, "Correction for many tests")
    assert correction.options == ["None"]
    assert only(app.sidebar.number_input, "Permutations").value == 999
    assert "As in the document" in text(app)
    assert cozy_squares(app) == zone(made).zone.count
    zeros = "Squares without a value count as 0 K, as in the source"
    only(app.sidebar.checkbox, zeros).check().run()
    assert NOT_THERE in text(clean(app))


def test_the_method_can_change_while_the_page_is_open(valley, open_page):
    app = open_page("cozy")
    valley.set_quadrats(AREA, side_m=150.0, rule=valley.area(AREA).rule, method="document")
    permuted(valley)
    correction = only(clean(app.run()).sidebar.selectbox, "Correction for many tests")
    assert (correction.options, correction.value) == (["None"], "none")


def test_a_square_tells_both_seasons(valley, open_page):
    app = open_page("cozy")
    assert "Click a square on the map to read both seasons there." in text(app)
    view(app).square = 5 * 20 + 5  # in the wood
    clean(app.run())
    rows = {row[0]: row for table in tables(app) for row in table if len(row) == 5}
    assert rows["Summer"][2] == "cold spot"
    assert rows["Winter"][2] != "cold spot"


@pytest.mark.parametrize("season", ["summer", "winter"])
def test_the_scatter_plot_shows_one_season(valley, open_page, season):
    app = open_page("cozy")
    app.main.radio[0].set_value(season).run()
    assert view(clean(app)).season == season


def test_what_lies_under_is_listed_with_intervals_and_ranks(valley, open_page):
    app = open_page("cozy")
    table = next(t.value for t in app.dataframe if "Location quotient" in t.value)
    assert set(table["Group"]) >= {"Trees", "Water", "Grass"}
    rows = table.set_index("Group")
    assert rows.loc["Trees", "Location quotient"] > 1 > rows.loc["Grass", "Location quotient"]
    assert table["Cozy"].sum() == zone(valley).zone.count
    assert set(table["Rank"]) <= {"low", "moderate", "high"}


def test_how_sure_lists_each_setting(valley, open_page):
    app = open_page("cozy")
    table = next(t.value for t in app.dataframe if "Correction" in t.value)
    own = table[(table["Neighbours"] == "queen") & (table["Level"] == "0.05")]
    own = own[own["Correction"] == "Benjamini–Hochberg"]
    assert own["Cozy squares"].tolist() == [zone(valley).zone.count]


def test_without_a_layer_of_classes_the_rest_is_shown(space, open_page):
    made = make_valley(space.root)
    made.remove_layer(AREA, "cover")
    permuted(made)
    app = open_page("cozy", map="rank")
    assert cozy_squares(app) > 0
    assert "A layer of classes is needed" in text(app)


def test_a_link_restores_map_level_correction_neighbours_and_language(valley, open_page):
    link = {"lang": "zh_CN", "area": AREA, "map": "stability", "level": "0.1",
            "correction": "none", "weights": "rook", "groups": "cover"}  # fmt: skip
    app = open_page("cozy", **link)
    assert link.items() <= app.query_params.items()
    assert view(app).shown == "stability"
    count = zone(valley, level=0.1, correction="none", weights="rook").zone.count
    assert next(metric.value for metric in app.metric) == str(count)


def test_a_link_without_the_area_is_taken_over(valley, open_page):
    app = open_page("cozy", level="0.2", map="seasons")
    assert app.query_params["level"] == "0.2"
    assert view(app).shown == "seasons"


@pytest.mark.parametrize(
    "address",
    [
        {"level": "0.9"}, {"level": "nan"}, {"level": "-1"}, {"level": "x"}, {"level": "0.001"},
        {"map": "../.."}, {"weights": "<b>"}, {"correction": "?"}, {"groups": "gone"},
        {"area": "gone", "level": "1e999"},
    ],
    ids=lambda address: "-".join(address.values())[:30],
)  # fmt: skip
def test_a_link_to_what_is_not_there_does_no_harm(valley, open_page, address):
    app = open_page("cozy", **{"area": AREA, **address})
    assert not app.error
    assert cozy_squares(app) == zone(valley).zone.count
    assert app.query_params["level"] == "0.05"


def test_a_season_s_layer_is_found_by_its_role(valley):
    area = valley.area(AREA)
    table = quadrat_table(valley, area, Options()).table
    assert season_column(area, table, "winter") == "cool_mean"
    causes = replace(area, layers=tuple(replace(one, role="cause") for one in area.layers))
    with pytest.raises(Exception, match="marked as temperature in winter"):
        season_column(causes, table, "winter")
