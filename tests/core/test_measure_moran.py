import argparse
import json

import numpy as np
import pandas as pd
import pytest

from core.commands.measure_moran import add_moran
from core.errors import InputError, TooLargeError
from core.hotspots.moran import local_moran
from core.weights import lattice_neighbours


@pytest.fixture
def files(tmp_path):
    rows, cols = (axis.ravel() for axis in np.mgrid[:12, :10])
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"heat": rng.normal(size=120), "light": rng.normal(size=120)})
    table["name"] = "x"
    table.to_csv(tmp_path / "table.csv", index=False)
    pd.DataFrame({"row": rows, "col": cols}).to_csv(tmp_path / "lattice.csv", index=False)
    return tmp_path


def run(folder, *words):
    parser = argparse.ArgumentParser()
    add_moran(parser.add_subparsers(), argparse.ArgumentParser(add_help=False))
    args = parser.parse_args(
        [
            "moran", "--table", f"{folder}/table.csv", "--lattice", f"{folder}/lattice.csv",
            "--out", f"{folder}/out.csv", *words,
        ]
    )  # fmt: skip
    body = args.handler(args)
    json.dumps(body)
    return body, pd.read_csv(folder / "out.csv")


def expected(folder, **more):
    table, lattice = (pd.read_csv(folder / f"{name}.csv") for name in ("table", "lattice"))
    kind = more.pop("weights", "queen")
    return local_moran(
        table["heat"], lattice_neighbours(lattice["row"], lattice["col"], kind), **more
    )


def test_every_column_of_numbers_is_measured(files):
    body, out = run(files, "--permutations", "999")
    assert [one["column"] for one in body["columns"]] == ["heat", "light"]
    found = expected(files, permutations=999)
    assert np.allclose(out["heat_I"], found.statistic, rtol=0, atol=1e-12)
    assert np.array_equal(out["heat_p"], found.p)
    assert np.array_equal(out["heat_quadrant"], found.quadrant)
    assert (out["heat_label"] == "not significant").mean() > 0.9
    assert body["correction"] == "bh"
    assert "heat: I = " in body["text"]


def test_the_document_reading_folds_p_over_999_permutations(files):
    body, out = run(files, "--reading", "document", "--weights", "rook", "--columns", "heat")
    assert body["permutations"] == 999
    assert np.array_equal(
        out["heat_p"], expected(files, method="document", weights="rook").p_folded
    )
    assert out["heat_p"].max() <= 0.5
    assert "light_p" not in out


def test_a_missing_value_is_told_where_the_document_spreads_it(files):
    table = pd.read_csv(files / "table.csv")
    table.loc[7, "heat"] = np.nan
    table.to_csv(files / "table.csv", index=False)
    body, out = run(files, "--reading", "document", "--columns", "heat")
    assert set(out["heat_label"]) == {"cold spot"}
    assert "1 missing" in body["warnings"][0]
    body, out = run(files, "--columns", "heat", "--permutations", "999")
    assert out["heat_label"][7] == "missing"
    assert body["warnings"] == []


def test_a_billion_permutations_are_refused_with_the_estimate(files):
    """Row 28: cost estimated, refused."""
    with pytest.raises(TooLargeError, match="would take about"):
        run(files, "--permutations", "1000000000")
    assert not (files / "out.csv").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--columns", "name"], "no column of numbers called name"),
        (["--columns", "heat,cold"], "called cold"),
        (["--table", "/nowhere.csv"], "nowhere.csv cannot be read"),
        (["--level", "2"], "no level"),
        (["--reading", "document", "--correction", "bh"], "folded p"),
        (["--permutations", "0"], "cannot be drawn"),
    ],
)
def test_mistakes_are_one_clear_sentence(files, words, says):
    with pytest.raises(InputError, match=says):
        run(files, *words)


def test_a_lattice_without_rows_is_refused(files):
    pd.DataFrame({"x": [1], "col": [2]}).to_csv(files / "lattice.csv")
    with pytest.raises(InputError, match="no column row"):
        run(files)


def test_a_lattice_of_another_length_is_refused(files):
    pd.DataFrame({"row": [1, 1], "col": [2, 3]}).to_csv(files / "lattice.csv")
    with pytest.raises(InputError, match="120 values for 2 squares"):
        run(files)
