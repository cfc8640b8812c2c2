"""What clusters are called, and what people say of them."""

import threading

import numpy as np
import pandas as pd
import pytest

from core.cluster_notes import Notes, grouping_digest, read_notes, renumbered, write_notes
from core.clusters.naming import Part, holdings, spoken
from core.errors import InputError, StoreError
from tests.core.raster_files import new_area

LABELS = np.array([0, 0, 1, 1, 2])
TABLE = pd.DataFrame(
    {
        "cover_fre_1": [0.9, 1.0, 0.0, 0.0, 0.4],
        "cover_fre_2": [0.1, 0.0, 0.7, 0.5, 0.3],
        "cover_fre_3": [0.0, 0.0, 0.3, 0.5, 0.3],
        "height_mean": [0.0, 0.1, 0.1, 0.0, 1.0],
    }
)
NAMES = {"cover_fre_1": "water", "cover_fre_2": "grass", "cover_fre_3": "trees"}


def said(table, labels):
    return {cluster: spoken(parts, NAMES) for cluster, parts in holdings(table, labels).items()}


def test_names_say_what_a_cluster_holds_more_of_than_the_city():
    assert said(TABLE, LABELS) == {
        0: "mostly water",
        1: "mostly grass, a lot of trees",
        2: "a lot of trees, high height_mean",
    }


def test_weights_are_the_share_of_a_class_and_the_standard_deviations_of_a_value():
    parts = holdings(TABLE, LABELS)[2]
    off = (1.0 - TABLE["height_mean"].mean()) / TABLE["height_mean"].std(ddof=0)
    assert [part.column for part in parts] == ["cover_fre_3", "height_mean"]
    assert parts[0].weight == pytest.approx(0.3)
    assert parts[1].weight == pytest.approx(off)


def test_two_clusters_with_the_same_name_get_further_parts():
    table = pd.DataFrame(
        {
            "cover_fre_1": [0.60, 0.60, 0.0, 0.0],
            "cover_fre_2": [0.25, 0.25, 0.0, 0.0],
            "cover_fre_3": [0.15, 0.05, 0.0, 0.0],
            "cover_fre_4": [0.00, 0.10, 1.0, 1.0],
        }
    )
    names = said(table, np.array([0, 1, 2, 2]))
    assert names[0] == "mostly water, a lot of grass, some trees"
    assert names[1] == "mostly water, a lot of grass"
    assert names[2] == "mostly cover_fre_4"


def test_a_cluster_like_the_whole_city_is_still_named():
    table = pd.DataFrame({"cover_fre_1": [0.7, 0.7], "cover_fre_2": [0.3, 0.3]})
    assert said(table, np.array([0, 1])) == {0: "mostly water", 1: "mostly water"}


def test_the_same_word_of_two_layers_is_said_once_and_templates_are_translated():
    parts = (Part("cover_fre_1", "mostly", 0.9), Part("use_fre_1", "mostly", 0.8))
    words = {"cover_fre_1": "Wasser", "use_fre_1": "Wasser"}
    german = {"mostly {name}": "vor allem {name}"}
    assert spoken(parts, words, translate=lambda text: german[text]) == "vor allem Wasser"


def test_the_order_of_the_quadrats_does_not_matter():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.dirichlet([1, 1, 1], 200), columns=["a_fre_1", "a_fre_2", "a_fre_3"])
    table["b_mean"] = rng.random(200)
    labels, order = table["b_mean"].to_numpy().argsort().argsort() // 50, rng.permutation(200)
    assert said(table, labels) == said(table.iloc[order], labels[order])


# Notes


@pytest.fixture
def space(tmp_path):
    return new_area(tmp_path / "space")


def test_notes_are_found_again_by_the_grouping_itself(space):
    assert read_notes(space, "town", LABELS) == Notes()
    notes = Notes(names={0: "The  lake"}, order=(2, 0, 1), groupings={"Green": ((1, 2),)})
    write_notes(space, "town", LABELS, notes)
    kept = read_notes(space, "town", LABELS.astype(np.uint16))
    assert kept == Notes(names={0: "The lake"}, order=(2, 0, 1), groupings={"Green": ((1, 2),)})
    assert read_notes(space, "town", LABELS[::-1].copy()) == Notes()
    assert renumbered(LABELS, kept.order).tolist() == [1, 1, 2, 2, 0]
    assert renumbered(LABELS, ()).tolist() == LABELS.tolist()


def test_another_type_of_number_is_the_same_grouping():
    assert grouping_digest(LABELS) == grouping_digest(LABELS.astype(np.uint16))
    assert grouping_digest(LABELS) != grouping_digest(LABELS + 1)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        (Notes(names={9: "x"}), "no cluster 9"),
        (Notes(names={0: " "}), "1 to 80 printable"),
        (Notes(names={0: "x" * 81}), "1 to 80 printable"),
        (Notes(order=(0, 1)), "name each of them once"),
        (Notes(order=(0, 1, 1)), "name each of them once"),
        (Notes(groupings={"a": ((0, 7),)}), "cannot be merged"),
        (Notes(groupings={"\n": ((0, 1),)}), "printable"),
        (Notes(groupings={str(i): ((0, 1),) for i in range(51)}), "No more than 50"),
    ],
)
def test_notes_that_do_not_fit_are_refused_and_nothing_is_changed(space, notes, message):
    write_notes(space, "town", LABELS, Notes(names={1: "kept"}))
    with pytest.raises(InputError, match=message):
        write_notes(space, "town", LABELS, notes)
    assert read_notes(space, "town", LABELS) == Notes(names={1: "kept"})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"kind": "other", "version": 1}',
        '{"kind": "urban-pattern-clusters", "version": 9, "groupings": {}}',
        '{"kind": "urban-pattern-clusters", "version": 1}',
        '{"kind": "urban-pattern-clusters", "version": 1, "groupings": {"DIGEST": {"order": 3}}}',
        '{"kind": "urban-pattern-clusters", "version": 1, "groupings": {"DIGEST": [1]}}',
    ],
)
def test_a_damaged_file_is_told_not_overwritten(space, text):
    path = space.folder("town") / "clusters.json"
    path.write_text(text.replace("DIGEST", grouping_digest(LABELS)))
    with pytest.raises(StoreError):
        read_notes(space, "town", LABELS)


def test_two_writers_at_once_lose_nothing(space):
    """Row 18."""
    groups = [np.roll(LABELS, shift) for shift in range(5)]

    def write(labels):
        write_notes(space, "town", labels, Notes(names={0: "mine"}))

    threads = [threading.Thread(target=write, args=(labels,)) for labels in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(read_notes(space, "town", labels).names == {0: "mine"} for labels in groups)
