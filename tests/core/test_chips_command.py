"""`chips` on the command line and as jobs: what is printed, kept, and refused in one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core import jobs, works
from core import settings as core_settings
from core.__main__ import main
from core.chips.sets import ChipSets
from core.errors import InputError, StoppedError
from core.prepare import never, no_progress
from tests.core.raster_files import write_tif
from tests.core.town import make_town

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    make_town(folder)
    return folder


@pytest.fixture
def space(template, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(template, tmp_path / "space")
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(tmp_path / "space"))
    core_settings.settings.cache_clear()
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "space"
    core_settings.settings.cache_clear()


@pytest.fixture
def core(space, capsys):
    def run(*words):
        capsys.readouterr()
        status = main([str(word) for word in words])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def imagery(path, **options):
    bands = np.random.default_rng(3).integers(1, 255, (4, 120, 160)).astype(np.uint8)
    return write_tif(path, bands, photometric="MINISBLACK", **options)


MAKE = ("chips", "make", "town", "--layer", "cover", "--size", "8", "--count", "20")


def test_make_and_show_say_of_each_chip_what_is_asked_for(core):
    status, out, _ = core(*MAKE, "--split", "place", "--seed", "0", "--out", "set", "--json")
    made = json.loads(out)
    assert (status, made["kind"], made["seed"]) == (0, "chips-made", 0)
    assert made["area"]["id"] == "town" and made["set"]["count"] == 20
    assert made["set"]["metres_per_pixel"] == {"4": 20.0, "8": 10.0}
    assert all(Path(path).is_file() for path in made["outputs"])
    status, out, _ = core("chips", "show", "set", "--json")
    shown = json.loads(out)
    assert (status, shown["kind"], len(shown["chips"])) == (0, "chips", 20)
    for chip in shown["chips"]:
        west, south, east, north = chip["bounds"]
        assert (east - west, north - south) == (80, 80)
        assert chip["split"] in {"train", "test"} and chip["crs"] == "EPSG:32616"
        assert sum(chip["shares"].values()) == pytest.approx(1, abs=1e-6)
        assert chip["date"] is None and chip["cluster"] is None
    assert [chip["split"] for chip in shown["chips"]].count("test") == 4


def test_the_text_names_split_place_and_shares(core):
    core(*MAKE, "--out", "set")
    _, out, _ = core("chips", "show", "set", "--quality")
    assert out.startswith("set: 4 test, 16 train; 8 px (80 m); Class 1, Class 2")
    assert "EPSG:32616" in out and "1:1" in out
    _, out, _ = core("chips", "list")
    assert "set: 4 test" in out
    assert core("chips", "verify", "set")[0] == 0
    assert core("chips", "delete", "set")[0] == 0
    assert core("chips", "list")[1].strip() == "There are no chip sets yet."


def test_the_same_seed_makes_the_same_set(core, space):
    digests = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        core(*MAKE, "--seed", seed, "--out", name)
        digests.append(ChipSets(space).info(name).digest)
    assert digests[0] == digests[1] != digests[2]


def test_files_of_several_dates_need_no_area(core, tmp_path, space):
    for date in ("20190815", "2021-08-31"):
        imagery(tmp_path / f"m_41087_{date}.tif")
    status, _, err = core(
        "chips", "make", "--file", "m_41087_20190815.tif", "--file", "m_41087_2021-08-31.tif",
        "--out", "dates", "--size", "16", "--grid", "--min-valid", "0.5", "--gap", "0",
    )  # fmt: skip
    assert (status, err) == (0, "")
    chips = ChipSets(space).open("dates")
    assert set(chips.table["date"]) == {"2019-08-15", "2021-08-31"}
    assert len(chips) > 60 and [c.name for c in chips.info.channels][-1] == "nir"
    both = chips.table.groupby(["row", "col"])["split"].nunique()
    assert (both == 1).all()


def test_every_option_reaches_the_set(core, space, tmp_path):
    imagery(tmp_path / "i.tif")
    status, _, _ = core(
        "chips", "make", "town", "--file", "i.tif", "--out", "all", "--size", "8", "--metres",
        "160", "--count", "9", "--overlap", "0.5", "--min-distance", "12", "--min-valid", "0.9",
        "--split", "none", "--seed", "4", "--kind", "values", "--bands", "2,1", "--dates",
        "2020-01-01", "--range", "-5,260", "--cover", "cover", "--balance", "cover",
        "--test-share", "0.3", "--block", "100", "--gap", "1",
    )  # fmt: skip
    info = ChipSets(space).info("all")
    assert status == 0
    assert info.side_m == 160 and info.dtype == "uint16" and info.area == "town"
    assert [(c.low, c.high) for c in info.channels] == [(-5, 260)] * 2
    wanted = {
        "size_px": 8, "metres": 160, "count": 9, "overlap": 0.5, "min_distance_m": 12,
        "min_valid": 0.9, "split": "none", "seed": 4, "balance": "cover", "test_share": 0.3,
        "block_m": 100, "gap_m": 1, "grid": False,
    }  # fmt: skip
    assert wanted.items() <= info.options.items()
    assert info.sources[0]["bands"] == [2, 1] and info.sources[0]["date"] == "2020-01-01"


def test_import_and_export_go_and_come_back(core, space, tmp_path):
    imagery(tmp_path / "i.tif")
    core("chips", "make", "--file", "i.tif", "--out", "one", "--size", "16", "--count", "10")
    status, out, _ = core("chips", "export", "one", "out", "--format", "jpeg", "--sizes", "16,8")
    assert status == 0 and "Wrote 20 images" in out and "FID" in out
    status, out, _ = core("chips", "import", "out", "--out", "two", "--json")
    assert status == 0 and json.loads(out)["set"]["count"] == 10
    assert "JPEG" in json.loads(out)["warnings"][0]
    assert core("chips", "export", "two", "png", "--format", "png", "--split", "test")[0] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((*MAKE, "--out", "../x"), "'../x' cannot be used as a chip set"),
        ((*MAKE, "--out", "a/b"), "cannot be used"),
        ((*MAKE, "--out", "x", "--size", "3"), "size in pixels must be from 4 to 1024"),
        ((*MAKE[:-1], "10000000000", "--out", "x"), "are too many"),
        ((*MAKE, "--out", "x", "--range", "1"), "is no range"),
        ((*MAKE, "--out", "x", "--bands", "a,b"), "is no list of numbers"),
        ((*MAKE, "--out", "x", "--block", "nan"), "side of a block must be"),
        (("chips", "make", "town", "--out", "x"), "from layers of a study area, from files"),
        (("chips", "make", "--layer", "cover", "--out", "x"), "Layers belong to a study area"),
        (("chips", "show", "nothing"), "There is no chip set 'nothing'"),
        (("chips", "show", "../../etc"), "cannot be used"),
        (("chips", "import", "nowhere", "--out", "x"), "There is no folder or file"),
        (("chips", "import", "space", "--out", "CON"), "cannot be used"),
        (("chips", "delete", "nothing"), "There is no chip set"),
        (("chips", "make", "--file", "/vsicurl/http://h/x", "--out", "x"), "no plain file"),
    ],
    ids=lambda value: " ".join(map(str, value[-2:])) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_one_sentence_and_status_2(core, space, words, sentence):
    status, out, err = core(*words)
    assert (status, out) == (2, "")
    assert sentence in err and "Traceback" not in err
    assert not (space / "chips" / "x").exists()


def test_a_reader_that_has_seen_enough_is_no_error(core, space):
    core(*MAKE, "--out", "set")
    shown = subprocess.run(
        f"{sys.executable} -m core chips show set --json | head -1",
        shell=True, cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ},
    )  # fmt: skip
    assert (shown.stdout.strip(), shown.stderr) == ("{", "")


def test_the_work_runs_as_a_job(space):
    config = {
        "workspace": str(space),
        "request": {
            "out": "jobbed", "area": "town", "layers": ["cover"],
            "options": {"size_px": 8, "count": 10},
        },
    }  # fmt: skip
    root = space / "jobs"
    job = jobs.wait(root, jobs.submit(root, "cut-chips", config), timeout_s=60)
    assert (job.state, job.result["set"], job.result["count"]) == ("done", "jobbed", 10)
    export = {"workspace": str(space), "set": "jobbed", "folder": str(space.parent / "out")}
    told = works.export_chips({**export, "options": {"sizes": [8]}}, no_progress, never)
    assert told["files"] == 10
    taken = {"workspace": str(space), "source": str(space.parent / "out"), "out": "back"}
    assert works.import_chips(taken, no_progress, never)["count"] == 10
    with pytest.raises(InputError, match="already"):
        works.import_chips(taken, no_progress, never)
    with pytest.raises(StoppedError):
        works.cut_chips(
            {**config, "request": {**config["request"], "out": "no"}}, no_progress, lambda: True
        )
