import json

from core import store
from models import follow
from models.follow import Follower


def line(step, **more):
    return json.dumps({"step": step, **more}) + "\n"


def test_only_what_is_new_is_read(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1, critic=0.5) + line(1, swd=[]))
    follower = Follower(tmp_path)
    found = follower.read()
    assert [row["step"] for row in found.training] == [1]
    assert [row["step"] for row in found.measured] == [1]
    parsed = []
    monkeypatch.setattr(follow.json, "loads", lambda text: parsed.append(text) or {"step": 2})
    with path.open("a") as file:
        file.write(line(2))
    assert follower.read().step == 2
    assert follower.read().step == 2
    assert len(parsed) == 1


def test_a_half_written_line_waits_and_a_broken_one_is_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1) + "no json\n[1]\n" + line(2)[:5])
    follower = Follower(tmp_path)
    assert [row["step"] for row in follower.read().training] == [1]
    path.write_text(line(1) + "no json\n[1]\n" + line(2))
    assert [row["step"] for row in follower.read().training] == [1, 2]


def test_a_run_that_goes_on_from_a_checkpoint_is_read_anew(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line(step) for step in range(50)))
    follower = Follower(tmp_path)
    assert follower.read().step == 49
    with store.atomic_path(path) as tmp:
        tmp.write_text("".join(line(step) for step in range(20)))
    assert follower.read().step == 19
    path.unlink()
    assert follower.read().step == 0


def test_a_run_without_figures_has_none(tmp_path):
    assert Follower(tmp_path).read() == follow.Figures()


def test_the_best_epochs_of_a_long_run_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "_MOST_TRAINING", 100)
    best = {0, 5, 10, 35, 500, 1995}
    with (tmp_path / "metrics.jsonl").open("w") as file:
        file.writelines(
            line(step, ends_epoch=step % 5 == 0, is_best=step in best) for step in range(2000)
        )
    rows = Follower(tmp_path).read().training
    assert len(rows) <= 100
    assert {row["step"] for row in rows if row["is_best"]} == best
    assert sum(row["ends_epoch"] for row in rows) > len(rows) / 2


def test_rows_that_are_all_best_are_thinned_too(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "_MOST_TRAINING", 100)
    with (tmp_path / "metrics.jsonl").open("w") as file:
        file.writelines(line(step, ends_epoch=True, is_best=True) for step in range(2000))
    assert len(Follower(tmp_path).read().training) <= 100


def test_row_25_a_long_run_stays_small_and_keeps_its_newest_rows(tmp_path, monkeypatch):
    """Row 25."""
    monkeypatch.setattr(follow, "_MOST_TRAINING", 100)
    follower = Follower(tmp_path)
    for part in range(20):
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.writelines(line(100 * part + step) for step in range(100))
        rows = follower.read().training
        assert len(rows) <= 100
        newest = [row["step"] for row in rows[-30:]]
        assert newest == list(range(100 * part + 70, 100 * part + 100))
    assert rows[0]["step"] == 0
