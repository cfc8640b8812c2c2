"""Results on disk: found again by digest, whole or not there, a bounded number of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import results
from core.errors import StoreError
from core.results import Key
from tests.core.raster_files import new_area

KEY = Key("zonal", {"layer": "cover", "side_m": 150.0})
ROOT = Path(__file__).parents[2]


@pytest.fixture
def space(tmp_path):
    return new_area(tmp_path / "space")


def write(space, key=KEY, text="one", **more):
    with results.making(space, "town", key, **more) as (folder, facts):
        (folder / "table.txt").write_text(text)
        facts["note"] = {"engine": "lattice"}
    return results.find(space, "town", key)


def test_a_result_is_found_by_what_it_was_made_from_row_26(space):
    """Row 26."""
    assert results.find(space, "town", KEY) is None
    made = write(space, seed=7)
    assert made == space.folder("town") / "results" / KEY.name
    assert results.find(space, "town", Key("zonal", dict(reversed(KEY.inputs.items())))) == made
    facts = results.facts(made)
    assert facts["inputs"] == KEY.inputs
    assert (facts["seed"], facts["digest"], facts["result"]) == (7, KEY.digest, "zonal")
    for other in (Key("moran", KEY.inputs), Key("zonal", {**KEY.inputs, "side_m": 151.0})):
        assert results.find(space, "town", other) is None


def test_changed_code_never_serves_an_old_result_row_26(space, monkeypatch):
    """Row 26."""
    write(space)
    monkeypatch.setattr(results, "code_version", lambda: "0.1.0+00000000")
    assert results.find(space, "town", KEY) is None


def test_the_one_who_finishes_first_wins(space):
    with results.making(space, "town", KEY) as (folder, _facts):
        (folder / "table.txt").write_text("late")
        made = write(space, text="first")
    assert (made / "table.txt").read_text() == "first"
    assert results.facts(made)


def test_an_error_while_writing_leaves_nothing_that_counts_row_18(space):
    """Row 18."""
    with pytest.raises(RuntimeError), results.making(space, "town", KEY) as (folder, _facts):
        (folder / "table.txt").write_text("half")
        raise RuntimeError
    assert results.find(space, "town", KEY) is None
    assert not folder.exists()


_WRITER = """
import sys, time
from pathlib import Path
from core import results
from core.workspace import Workspace
key = results.Key("zonal", {"layer": "cover", "side_m": 150.0})
while True:
    with results.making(Workspace(Path(sys.argv[1])), "town", key) as (folder, facts):
        for name in "abcd":
            (folder / name).write_bytes(name.encode() * 200_000)
            print(flush=True)
    results.discard(folder.parent.parent / "results" / key.name)
"""


@pytest.mark.parametrize("moment", [1, 3, 5])
def test_a_writer_killed_at_any_moment_leaves_whole_results_only_row_18(space, moment):
    """Row 18."""
    child = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(space.root)], cwd=ROOT, stdout=subprocess.PIPE
    )
    for _ in range(moment):
        child.stdout.readline()
    time.sleep(0.003 * moment)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    found = results.find(space, "town", KEY)
    if found is not None:
        assert results.facts(found)["files"].keys() == set("abcd")
    assert write(space, text="after")  # and the next one is not hindered
    assert results.facts(results.find(space, "town", KEY))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda made: (made / "table.txt").write_text("two"), id="changed"),
        pytest.param(lambda made: (made / "table.txt").unlink(), id="gone"),
        pytest.param(lambda made: (made / "result.json").write_text("{"), id="cut"),
        pytest.param(lambda made: (made / "result.json").write_text("[]"), id="a-list"),
        pytest.param(
            lambda made: (made / "result.json").write_text('{"kind": "result", "version": 1}'),
            id="empty",
        ),
    ],
)
def test_a_damaged_result_is_refused_and_can_be_made_again_row_11(space, damage):
    """Row 11."""
    made = write(space)
    damage(made)
    with pytest.raises(StoreError, match=r"result\.json|table\.txt"):
        results.facts(made)
    results.discard(made)
    assert results.find(space, "town", KEY) is None
    assert results.facts(write(space))


def test_a_folder_without_its_description_is_replaced(space):
    made = write(space)
    (made / "result.json").unlink()
    assert results.find(space, "town", KEY) is None
    assert (write(space, text="new") / "table.txt").read_text() == "new"


def test_a_description_that_names_a_file_elsewhere_is_refused_row_4(space):
    """Row 4."""
    made = write(space)
    body = json.loads((made / "result.json").read_text())
    body["files"] = {"../../area.json": "0"}
    (made / "result.json").write_text(json.dumps(body))
    with pytest.raises(Exception, match="not inside"):
        results.facts(made)


def test_the_results_used_last_are_kept_of_each_kind_row_25(space, monkeypatch):
    """Row 25."""
    keys = [Key("zonal", {"n": n}) for n in range(3)]
    other = write(space, Key("moran", {}))
    for age, key in enumerate(keys):
        os.utime(write(space, key), (1e9 + age, 1e9 + age))
    results.find(space, "town", keys[0])  # used now
    monkeypatch.setattr(results, "_KEPT", 2)
    write(space, Key("zonal", {"n": 3}))
    left = [n for n in range(4) if results.find(space, "town", Key("zonal", {"n": n}))]
    assert left == [0, 3]
    assert other.is_dir()


def test_a_run_of_more_layers_than_are_kept_keeps_its_own(space, monkeypatch):
    monkeypatch.setattr(results, "_KEPT", 2)
    keys = [Key("zonal", {"n": n}) for n in range(5)]
    for key in keys:
        write(space, key)
    assert all(results.find(space, "town", key) for key in keys)


def test_a_damaged_result_counts_as_not_there_and_goes_row_11(space):
    """Row 11."""

    def read(folder, facts):
        return (folder / "table.txt").read_text(), facts["note"]["engine"]

    assert results.load(space, "town", KEY, read) is None
    made = write(space)
    assert results.load(space, "town", KEY, read) == ("one", "lattice")
    (made / "table.txt").write_text("two")
    assert results.load(space, "town", KEY, read) is None
    assert not made.exists()
