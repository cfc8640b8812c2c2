"""Clusters: the sweep as a job, k, names, merging, typical squares, links, mistakes."""

import shutil
import time

import numpy as np
import pytest

from core import jobs, prepare
from core.cluster_notes import read_notes
from core.cluster_steps import ClusterOptions, find_clusters
from core.quadrat_table import Options, quadrat_table
from core.workspace import Workspace
from tests.core.valley import AREA, make_valley, summed_up, swept
from tests.pages.said import button, clean, only, text
from tests.pages.test_quadrats import ended, figures

SWEEP = "Sweep over the numbers of clusters"
AGAIN = "Sweep over k"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The valley, its squares summed up and clustered."""
    space = make_valley(tmp_path_factory.mktemp("valley") / "space")
    swept(space)
    return space.root


@pytest.fixture
def valley(space, template):
    shutil.copytree(template, space.root)
    return space


@pytest.fixture
def bare(space):
    """The valley without anything computed."""
    return make_valley(space.root)


def labels_of(space: Workspace, k: int):
    """Return the kept labels of one k."""
    area = space.area(AREA)
    made = quadrat_table(space, area, Options())
    found = find_clusters(space, area, made, Options(), ClusterOptions())
    return found.sweep.of(k).astype(np.int32)


def view(app):
    return app.session_state["app_state"].cluster_view(AREA)


def pair_button(app):
    """Return the first button that merges two clusters."""
    return next(b for b in app.button if b.label.startswith("Merge "))


def test_without_an_area_the_page_leads_to_start(space, open_page):
    app = open_page("clusters")
    assert "There is no study area yet" in text(app)
    button(app, "Choose or make one").click().run()
    assert "Which city do we look at?" in text(clean(app))


def test_while_the_simulated_area_is_analysed_the_page_says_that_it_will_come(
    bare, open_page, monkeypatch
):
    monkeypatch.setattr("ui.default_area.DEFAULT_AREA", AREA)
    monkeypatch.setattr("ui.default_area.running_default_area", lambda: "job")
    assert "appears here by itself" in text(open_page("clusters"))
    summed_up(bare)
    app = clean(open_page("clusters"))
    assert "appears here by itself" in text(app)
    assert not app.button
    app.session_state["app_state"].cluster_view(AREA).options["seed"] = 7
    assert "appears here by itself" not in text(clean(app.run()))


def test_layers_that_are_not_summed_up_lead_to_quadrats(bare, open_page):
    app = open_page("clusters")
    assert "The layers of Valley are not summed up in squares yet." in text(app)
    button(app, "Sum them up on the Quadrats page").click().run()
    assert "About 400 squares." in text(clean(app))


def test_the_sweep_runs_as_a_job_and_then_shows_its_clusters(bare, open_page):
    summed_up(bare)
    app = open_page("clusters")
    assert "The squares of Valley are not clustered yet." in text(app)
    only(app.sidebar.number_input, "to").set_value(6)
    app.run()
    button(app, AGAIN).click().run()
    assert not [b for b in clean(app).button if b.label == SWEEP]  # not twice
    ended(bare, app)
    assert only(app.sidebar.select_slider, "Number of clusters, k").options == list("23456")
    k = int(app.query_params["k"])
    assert figures(app)["Clusters"] == str(k)
    assert "Done: Sweeping over the numbers of clusters" in text(app)


def test_moving_k_changes_the_clusters_without_a_job(valley, open_page):
    app = open_page("clusters", k="5")
    sizes = np.bincount(labels_of(valley, 5))
    assert figures(app)["Clusters"] == "5"
    assert figures(app)["Smallest, squares"] == str(sizes.min())
    slider = only(app.sidebar.select_slider, "Number of clusters, k")
    slider.set_value(12).run()
    assert figures(clean(app))["Clusters"] == "12"
    assert figures(app)["Smallest, squares"] == str(np.bincount(labels_of(valley, 12)).min())
    assert app.query_params["k"] == "12"
    assert not list(jobs.jobs(valley.root / "jobs"))


def test_planted_patterns_are_clusters_named_after_what_they_hold(valley, open_page):
    app = open_page("clusters", k="5")
    view(app).picked = int(labels_of(valley, 5)[0 * 20 + 19])  # on the lake
    app.run()
    assert "Water" in only(clean(app).text_input, f"Name of cluster {view(app).picked + 1}").value


def test_a_name_of_the_user_s_is_kept_with_the_area(valley, open_page):
    app = open_page("clusters", k="5", pick="1")
    only(app.text_input, "Name of cluster 2").set_value("Old town *east*")
    button(app, "Save").click().run()
    assert only(clean(app).text_input, "Name of cluster 2").value == "Old town *east*"
    assert read_notes(valley, AREA, labels_of(valley, 5)).names[1] == "Old town *east*"
    again = open_page("clusters", k="5", pick="1")
    assert only(again.text_input, "Name of cluster 2").value == "Old town *east*"
    other = open_page("clusters", k="6", pick="1")  # another grouping has names of its own
    assert "Old town" not in only(other.text_input, "Name of cluster 2").value


def test_an_empty_name_is_refused(valley, open_page):
    app = open_page("clusters", k="5", pick="0")
    only(app.text_input, "Name of cluster 1").set_value("   ")
    button(app, "Save").click().run()
    assert len(clean(app).error) == 1
    assert not read_notes(valley, AREA, labels_of(valley, 5)).names


def test_merging_makes_a_grouping_that_can_be_taken_back_and_made_again(valley, open_page):
    app = open_page("clusters", k="12")
    for _attempt in range(2):
        pair_button(app).click().run()
        assert figures(clean(app))["Clusters"] == "11"
        grouping = only(app.sidebar.selectbox, "Grouping")
        assert grouping.value == "Merged"
        grouping.set_value("").run()
        assert figures(clean(app))["Clusters"] == "12"
    (groups,) = read_notes(valley, AREA, labels_of(valley, 12)).groupings.values()
    assert groups == ((1, 3),)


def test_merging_goes_on_from_the_merged_clusters(valley, open_page):
    app = open_page("clusters", k="12")
    pair_button(app).click().run()
    said = [info.value for info in clean(app).info if "are nearly one" in info.value]
    pair_button(app).click().run()
    assert figures(clean(app))["Clusters"] == "10"
    assert said
    (groups,) = read_notes(valley, AREA, labels_of(valley, 12)).groupings.values()
    # Numbers of k itself, though the second pair was chosen among the merged ones.
    assert sorted(groups) == [(1, 3), (4, 8)]


def test_a_grouping_is_let_go_by_another_k(valley, open_page):
    app = open_page("clusters", k="12")
    pair_button(app).click().run()
    only(app.sidebar.select_slider, "Number of clusters, k").set_value(5).run()
    assert figures(clean(app))["Clusters"] == "5"
    assert not [box for box in app.sidebar.selectbox if box.label == "Grouping"]


def test_a_picked_cluster_shows_its_typical_squares_and_is_let_go(valley, open_page):
    own = labels_of(valley, 5)
    app = open_page("clusters", k="5", pick="2")
    listed = [table.value["Square"] for table in app.dataframe if "Square" in table.value]
    ids = quadrat_table(valley, valley.area(AREA), Options()).lattice.ids
    assert [len(numbers) for numbers in listed] == [8, 8]
    assert {*listed[0], *listed[1]} <= {*ids[own == 2]}
    button(app, "Show all").click().run()
    assert view(clean(app)).picked is None
    assert "pick" not in app.query_params
    assert "Pick a cluster on the map or in the list" in text(app)


def test_a_picked_cluster_is_compared_with_another(valley, open_page):
    app = open_page("clusters", k="5", pick="2")
    other = only(app.main.selectbox, "Compare with")
    assert len(other.options) == 4
    other.set_value(0).run()
    charts = [chart for chart in clean(app).get("plotly_chart") if "signature" in chart.proto.id]
    assert len(charts) == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"k from": 9, "to": 4}, "9 to 4 in steps of 1 is no range"),
        ({"to": 500}, "500 clusters cannot be made of 400 quadrats"),
    ],
)
def test_a_silly_range_is_refused_and_the_clusters_stay_row_28(valley, open_page, fields, said):
    """Row 28."""
    app = open_page("clusters", k="5")
    for label, value in fields.items():
        only(app.sidebar.number_input, label).set_value(value)
    app.run()
    assert any(said in error.value for error in clean(app).error)
    button(app, AGAIN).click().run()
    assert any(said in error.value for error in clean(app).error)
    assert not list(jobs.jobs(valley.root / "jobs"))
    app.run()
    assert figures(clean(app))["Clusters"] == "5"


def test_an_area_without_causes_says_so_and_lets_other_layers_be_chosen(bare, open_page):
    for layer in ("cover", "storeys"):
        bare.remove_layer(AREA, layer)
    summed_up(bare)
    app = open_page("clusters")
    assert any("has no factor to cluster by" in error.value for error in app.error)
    layers = only(app.sidebar.multiselect, "Layers to cluster by")
    layers.set_value(["warm", "cool"])
    only(app.sidebar.number_input, "to").set_value(5)
    app.run()
    button(app, AGAIN).click().run()
    ended(bare, app)
    assert "2 factors of 400 squares" in text(app)
    assert not app.error


def test_the_method_names_seed_and_factors(valley, open_page):
    said = text(open_page("clusters", k="5"))
    assert "Seed 0; 5 factors of 400 squares" in said
    assert "recommended" in said


def test_a_link_restores_k_pick_and_language(valley, open_page):
    app = open_page("clusters", lang="zh_CN", area=AREA, k="7", pick="3")
    assert (view(app).k, view(app).picked) == (7, 3)
    assert {"k": "7", "pick": "3", "lang": "zh_CN"}.items() <= app.query_params.items()


def test_a_link_without_the_area_is_taken_over(valley, open_page):
    app = open_page("clusters", k="7", pick="3")
    assert figures(app)["Clusters"] == "7"
    assert app.query_params["pick"] == "3"


@pytest.mark.parametrize(
    "address",
    [
        {"k": "999999999999999999999"}, {"k": "-3"}, {"k": "<b>"}, {"k": "5", "pick": "5"},
        {"k": "5", "pick": "99999999999999999999999"}, {"k": "5", "pick": "x"},
        {"area": "gone", "k": "5", "pick": "../.."},
    ],
    ids=lambda address: "-".join(address.values())[:30],
)  # fmt: skip
def test_a_link_to_what_is_not_there_does_no_harm(valley, open_page, address):
    app = open_page("clusters", **{"area": AREA, **address})
    assert not app.error
    assert view(app).picked is None
    assert "pick" not in app.query_params
    assert int(figures(app)["Clusters"]) == view(app).k


def test_a_layer_that_came_later_leaves_the_clusters_in_place(valley, open_page):
    before = figures(clean(open_page("clusters", k="5")))
    area = valley.area(AREA)
    about = prepare.About(layer_id="later", title="Later", kind="values", role="effect")
    prepare.add_raster(valley, AREA, valley.layer_path(AREA, area.layers[-1]), about)
    app = clean(open_page("clusters", k="5"))
    assert "Not summed up in squares yet: Later." in text(app)
    assert figures(app) == before
    button(app, "Sum up").click().run()
    ended(valley, app)
    assert "Not summed up" not in text(app)


def test_after_a_reload_the_running_job_is_shown_again(bare, open_page, monkeypatch):
    summed_up(bare)
    progress = jobs.Progress(0.5, "Trying other seeds")
    running = jobs.Job("x", "clusters", {"area": AREA}, "running", progress, time.time())
    monkeypatch.setattr(jobs, "jobs", lambda _root, work="*": [running] * (work == "clusters"))
    monkeypatch.setattr(jobs, "job", lambda _root, _id: running)
    app = open_page("clusters")
    assert button(app, "Cancel")
    assert not [one for one in app.button if one.label == SWEEP]
