"""Clusters of an area: factors by role, results kept, the job, and the command `measure`."""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from core import jobs, works
from core.cluster_steps import (
    ClusterOptions,
    cluster_stability,
    clusters,
    factors,
    find_clusters,
    find_stability,
    is_swept,
    labels_frame,
)
from core.clusters.sweep import Range
from core.commands import measure
from core.errors import InputError, StoppedError
from core.normalise import normalise
from core.prepare import About, add_raster
from core.quadrat_table import Options, QuadratTable
from core.workspace import Layer, Summary
from tests.core.raster_files import checkers, new_area, write_tif
from tests.core.zonal_inputs import lattice_of

QUADRATS = Options(fill_m=0)
SPAN = Range(largest=6)
CHOSEN = ClusterOptions(span=SPAN, reruns=2)


def table_of(rows=100, seed=0):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, rows)
    shares = rng.dirichlet([8, 1, 1], rows)
    shares = shares[np.arange(rows)[:, None], (np.arange(3) + kind[:, None]) % 3]
    return pd.DataFrame(
        {
            "cover_fre_1": shares[:, 0],
            "cover_fre_2": shares[:, 1],
            "cover_fre_3": shares[:, 2],
            "height_mean": kind + rng.random(rows),
            "lst_mean": rng.random(rows) + 300,
        }
    )


def made_of(table):
    lattice = lattice_of((10, len(table) // 10), 150)
    return QuadratTable(lattice, table, pd.DataFrame(index=table.index), digest="of-this-test")


@pytest.fixture
def space(tmp_path):
    workspace = new_area(tmp_path / "space")
    for layer_id, kind, role in (
        ("cover", "classes", "cause"),
        ("height", "values", "cause"),
        ("lst", "values", "effect"),
    ):
        layer = Layer(
            id=layer_id, title=layer_id, kind=kind, role=role, url="https://example.org/x.tif",
            summary=Summary(valid_share=1.0),
        )  # fmt: skip
        workspace.put_layer("town", layer, None)
    return workspace


# Factors


def test_the_default_factors_are_the_causes(space):
    found = factors(space.area("town"), normalise(table_of()), ClusterOptions())
    assert list(found.table) == ["cover_fre_1", "cover_fre_2", "cover_fre_3", "height_mean"]
    assert found.left_out == ()


def test_by_role_columns_with_gaps_or_one_value_are_left_out_and_told(space):
    """Row 12."""
    table = table_of()
    table.loc[3:5, "height_mean"] = np.nan
    table["cover_fre_9"] = 0.0
    found = factors(space.area("town"), normalise(table), ClusterOptions())
    assert list(found.table) == ["cover_fre_1", "cover_fre_2", "cover_fre_3"]
    assert [left.message() for left in found.left_out] == [
        "height_mean is left out: 3 quadrats have no value.",
        "cover_fre_9 is left out: it is the same everywhere.",
    ]


def test_whole_layers_and_single_columns_can_be_chosen(space):
    options = ClusterOptions(columns=("height_mean", "lst_mean"), layers=("cover", "height"))
    found = factors(space.area("town"), normalise(table_of()), options)
    names = ["cover_fre_1", "cover_fre_2", "cover_fre_3", "height_mean", "lst_mean"]
    assert list(found.table) == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ClusterOptions(columns=("nothing",)), "no column nothing"),
        (ClusterOptions(layers=("nothing",)), "no layer 'nothing'"),
        (ClusterOptions(columns=("height_mean",)), "no value in: height_mean"),
        (ClusterOptions(columns=("cover_fre_9",)), "cover_fre_9 is left out: it is the same"),
        (ClusterOptions(columns=("lst_mean",)), "same value everywhere: lst_mean"),
        (ClusterOptions(role="effect"), "no factor to cluster by: lst_mean is left out"),
    ],
)
def test_what_was_named_and_cannot_be_used_is_refused_by_name(space, options, message):
    """Row 12."""
    table = table_of().assign(cover_fre_9=0.0, lst_mean=300.0)
    table.loc[3, "height_mean"] = np.nan
    with pytest.raises(InputError, match=message):
        factors(space.area("town"), normalise(table), options)


# Results


def test_a_sweep_is_kept_and_found_again_with_all_its_measures(space):
    area, made = space.area("town"), made_of(table_of())
    assert find_clusters(space, area, made, QUADRATS, CHOSEN) is None
    first = clusters(space, area, made, QUADRATS, CHOSEN)
    again = clusters(space, area, made, QUADRATS, CHOSEN)
    assert (first.is_cached, again.is_cached) == (False, True)
    assert again.digest == first.digest and again.columns == first.columns
    for k in SPAN.ks:
        assert_array_equal(again.sweep.of(k), first.sweep.of(k))
    pd.testing.assert_frame_equal(again.scores(), first.scores())
    pd.testing.assert_frame_equal(again.measures(), first.measures())
    assert again.quality.silhouette_rows == 100
    assert list(again.scores().index) == list(SPAN.ks)


@pytest.mark.parametrize("name", ["labels.npy", "stability.parquet"])
def test_a_sweep_is_there_once_it_is_made_and_whole(space, name):
    area, made = space.area("town"), made_of(table_of())
    given = (space, area, made, QUADRATS, CHOSEN)
    chosen = factors(area, made.normalised(QUADRATS), CHOSEN)
    assert not is_swept(*given, chosen)
    clusters(*given)
    assert not is_swept(*given, chosen)  # how firm it is is still unknown
    cluster_stability(*given)
    assert is_swept(*given, chosen)
    other = replace(CHOSEN, seed=CHOSEN.seed + 1)
    assert not is_swept(space, area, made, QUADRATS, other, chosen)
    (path,) = (space.folder("town") / "results").glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:40])
    assert not is_swept(*given, chosen)


@pytest.mark.parametrize("name", ["labels.npy", "scores.parquet", "stability.parquet"])
def test_a_damaged_result_is_made_again_row_11(space, name):
    """Row 11."""
    given = (space, space.area("town"), made_of(table_of()), QUADRATS, CHOSEN)
    first, firm = clusters(*given), cluster_stability(*given)
    (path,) = (space.folder("town") / "results").glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:40])
    assert None in (find_clusters(*given), find_stability(*given))
    assert_array_equal(clusters(*given).sweep.labels, first.sweep.labels)
    assert_array_equal(cluster_stability(*given).mean, firm.mean)
    assert find_stability(*given) is not None


def test_every_choice_that_changes_the_result_changes_the_digest(space):
    """Row 26."""
    area, made = space.area("town"), made_of(table_of())
    digests = {
        clusters(space, area, made, QUADRATS, options).digest
        for options in (
            CHOSEN,
            ClusterOptions(span=SPAN, seed=1),
            ClusterOptions(span=Range(largest=5)),
            ClusterOptions(span=SPAN, layers=("cover",)),
            ClusterOptions(span=SPAN, sample=50),
        )
    }
    assert len(digests) == 5
    threads = ClusterOptions(span=SPAN, threads=8, reruns=2)
    assert clusters(space, area, made, QUADRATS, threads).is_cached


def test_the_stability_is_kept_beside_the_sweep(space):
    area, made = space.area("town"), made_of(table_of())
    assert find_stability(space, area, made, QUADRATS, CHOSEN) is None
    first = cluster_stability(space, area, made, QUADRATS, CHOSEN)
    again = find_stability(space, area, made, QUADRATS, CHOSEN)
    assert again.runs == first.runs == 3
    assert_array_equal(again.mean, first.mean)
    assert_array_equal(again.least, first.least)
    with pytest.raises(InputError, match="0 further runs"):
        cluster_stability(space, area, made, QUADRATS, ClusterOptions(span=SPAN, reruns=0))


def test_a_stopped_sweep_keeps_nothing(space):
    """Row 28."""
    area, made = space.area("town"), made_of(table_of())
    with pytest.raises(StoppedError):
        clusters(space, area, made, QUADRATS, CHOSEN, should_stop=lambda: True)
    assert find_clusters(space, area, made, QUADRATS, CHOSEN) is None


def test_labels_are_a_column_for_the_quadrat_files(space):
    table = table_of().set_axis([f"q{at}" for at in range(100)], axis=0)
    frame = labels_frame(made_of(table), np.arange(100) % 3, "cluster_k3")
    assert frame.loc["q4", "cluster_k3"] == 1
    assert frame.index.equals(table.index)


def test_the_work_of_the_job_leaves_both_results(tmp_path):
    workspace = new_area(tmp_path / "space")
    about = {"colormap": "viridis", "legend": (), "season": None, "unit": "", "role": "cause"}
    write_tif(tmp_path / "cover.tif", checkers(), nodata=0)
    add_raster(
        workspace, "town", tmp_path / "cover.tif",
        About(layer_id="cover", title="cover", kind="values", **about),
    )  # fmt: skip
    told = []
    config = {
        "workspace": str(workspace.root), "area": "town",
        "clusters": {"span": [2, 3, 1], "reruns": 1, "layers": ["cover"]},
    }  # fmt: skip
    outcome = works.clusters(config, lambda share, _text: told.append(share), lambda: False)
    assert outcome["ks"] == [2, 3]
    kinds = {path.name.split("-")[0] for path in (workspace.folder("town") / "results").iterdir()}
    assert {"clusters", "stability"} <= kinds
    assert told == sorted(told) and told[-1] <= 1
    assert jobs.module_and_name("clusters") == ("core.works", "clusters")


# The command


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    measure.register(parser.add_subparsers(), argparse.ArgumentParser(add_help=False))

    def call(*words):
        args = parser.parse_args(["measure", *words])
        return args.handler(args)

    return call


@pytest.fixture
def files(tmp_path):
    table = normalise(table_of()).table
    table.rename_axis("on").to_csv(tmp_path / "table.csv")
    runs = np.stack([np.arange(100) % 2, np.arange(100) % 3])
    np.save(tmp_path / "runs.npy", runs)
    pd.DataFrame(runs.T, columns=["two", "three"]).rename_axis("on").to_csv(tmp_path / "runs.csv")
    return table, runs


@pytest.mark.parametrize("labels", ["runs.npy", "runs.csv"])
def test_measure_scores(run, files, labels):
    run("scores", "--table", "table.csv", "--labels", labels, "--out", "scores.csv")
    found = pd.read_csv("scores.csv", index_col="k")
    assert list(found.index) == [2, 3]
    assert list(found) == list(files[0])  # the numbers of the rows are no factor


@pytest.mark.parametrize("reading", ["recommended", "document"])
def test_measure_signatures_and_distances(run, files, reading):
    words = ["--table", "table.csv", "--labels", "runs.npy", "--k", "3", "--reading", reading]
    body = run("signatures", *words, "--columns", "cover_fre_1,lst_mean", "--out", "s.csv")
    found = pd.read_csv("s.csv", index_col=[0, 1])
    assert len(found) == 3 * (4 if reading == "recommended" else 3)
    assert body["outputs"] == ["s.csv"] and body["method"] == reading
    run("distances", *words, "--out", "d.csv")
    matrix = pd.read_csv("d.csv", index_col=0).to_numpy()
    assert_array_equal(matrix, matrix.T)


def test_measure_nni_of_a_table_or_of_its_scores(run, files):
    run("scores", "--table", "table.csv", "--labels", "runs.npy", "--out", "scores.csv")
    run("nni", "--table", "table.csv", "--labels", "runs.npy", "--out", "one.csv")
    of_scores = run("nni", "--table", "scores.csv", "--columns", ",".join(files[0]))
    one = pd.read_csv("one.csv", index_col=0)
    assert list(one.columns) == ["nni", "std", "rank"]
    assert_allclose(float(of_scores["text"].splitlines()[1].split(",")[1]), one["nni"].iloc[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("scores", "--table", "none.csv", "--labels", "runs.npy"), "none.csv cannot be read"),
        (("scores", "--table", "table.csv", "--labels", "none.npy"), "none.npy cannot be read"),
        (("scores", "--table", "table.csv", "--labels", "bad.npy"), "bad.npy holds no labels"),
        (("scores", "--table", "table.csv", "--labels", "short.npy"), "3 labels for 100"),
        (("scores", "--table", "table.csv", "--labels", "code.npy"), "code.npy cannot be read"),
        (
            ("scores", "--table", "table.csv", "--labels", "runs.npy", "--columns", "no"),
            "column no",
        ),
        (
            ("scores", "--table", "gaps.csv", "--labels", "runs.npy"),
            "missing values in: height_mean",
        ),
        (("scores", "--table", "flat.csv", "--labels", "runs.npy"), "everywhere: height_mean"),
        (("distances", "--table", "table.csv", "--labels", "runs.npy"), "2, 3. Choose one"),
        (
            ("signatures", "--table", "table.csv", "--labels", "runs.npy", "--k", "9"),
            "2, 3. Choose",
        ),
        (
            (
                "signatures",
                "--table",
                "table.csv",
                "--labels",
                "runs.npy",
                "--k",
                "2",
                "--bins",
                "a",
            ),
            "'a' is no number",
        ),
    ],
)
def test_mistakes_of_measure_are_one_sentence(run, files, words, message):
    """Row 12."""
    table = files[0]
    np.save("bad.npy", np.full(100, 0.5))
    np.save("short.npy", np.array([0, 1, 1]))
    np.save("code.npy", np.array([{}] * 100, dtype=object), allow_pickle=True)
    table.assign(height_mean=np.where(np.arange(100) == 4, np.nan, 0.5)).to_csv("gaps.csv")
    table.assign(height_mean=0.5).to_csv("flat.csv")
    with pytest.raises(InputError, match=message):
        run(*words)
