import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import AppError, InputError, TooLargeError
from models import history
from models.history import better_epochs, forget, keep, old_run, old_runs, printed_better, read_log

TABLE = """
epoch  train_loss  gen_loss  crit_loss  time
0      -0.027092   0.016904  -0.022706  00:26
1      -0.268401   0.159419  -0.267501  1:00:17
Better model found at epoch 0 with crit_loss value: -0.02270558290183544.
0      -0.606376   0.399832  -0.815916  00:17
"""


def test_a_pasted_table_becomes_rows_and_a_restart_begins_a_fit():
    rows = read_log(TABLE)
    assert [(row["fit"], row["epoch"], row["epoch_in_fit"]) for row in rows] == [
        (0, 0, 0), (0, 1, 1), (1, 2, 0)
    ]  # fmt: skip
    assert rows[0]["train_smooth"] == -0.027092
    assert rows[0]["generator_smooth"] == 0.016904
    assert [row["critic_smooth"] for row in rows] == [-0.022706, -0.267501, -0.815916]
    assert [row["seconds"] for row in rows] == [26, 3617, 17]


@pytest.mark.parametrize(
    "line",
    [
        "3,-0.5,0.25,-1e-05,00:18",
        "3\t-0.5\t0.25\t-1e-05\t00:18",
        "| 3 | -0.5 | 0.25 | -1e-05 | 00:18 |",
        "<tr>\n<td>3</td>\n<td>-0.5</td>\n<td>0.25</td>\n<td>-1e-05</td>\n<td>00:18</td>\n</tr>",
    ],
    ids=["commas", "tabs", "markdown", "html"],
)
def test_the_table_may_be_divided_by_anything(line):
    (row,) = read_log(line)
    assert (row["epoch_in_fit"], row["train_smooth"], row["generator_smooth"]) == (3, -0.5, 0.25)
    assert (row["critic_smooth"], row["seconds"]) == (-1e-5, 18)


def test_gaps_are_passed_over():
    rows = read_log("1,-1.1,0.7,-1.49,00:18\n...,...,...,...,...\n198,-1.18,0.75,-1.54,00:18\n")
    assert [row["epoch_in_fit"] for row in rows] == [1, 198]


def test_text_without_a_table_is_refused():
    with pytest.raises(InputError, match="no row of a training table"):
        read_log("12:30 hello 1 2 3")


@pytest.mark.parametrize("word", ["nan", "inf", "banana", "-", "1.5.2", "1e999"])
def test_a_row_that_cannot_be_read_is_told_with_its_line_and_word(word):
    text = f"epoch,train_loss,gen_loss,crit_loss,time\n0,-1,2,-1,0:18\n1,{word},2,-1,0:18"
    with pytest.raises(InputError, match=f"Line 3 of the table holds '{word}'"):
        read_log(text)


_PARTS = (
    " ",
    "\n",
    "1 ",
    "1,",
    "1.",
    "1e",
    "|",
    "<td",
    "<td>",
    "<tr",
    "<td> ",
    "1\n",
    "12:",
    "\t1",
)


@pytest.mark.parametrize("part", _PARTS)
def test_any_text_is_answered_at_once(part):
    """A pattern that goes over a text as often as it has characters takes an hour."""
    whole = part * (200_000 // len(part))
    lines = ((part * 2000)[:1999] + "\n") * 100
    begun = time.process_time()
    for text in (whole, lines, f"{whole}x"):
        with suppress(InputError):
            read_log(text)
        printed_better(text)
    assert time.process_time() - begun < 1


def test_lines_that_name_a_better_model_are_read():
    assert printed_better(TABLE) == [(0, -0.02270558290183544)]


def test_better_epochs_by_the_documents_rule_by_hand():
    """Each falls by more than 0.01 below the best of its fit; the second fit begins anew."""
    rows = [
        {"fit": fit, "epoch_in_fit": epoch, "critic_smooth": loss}
        for fit, epoch, loss in (
            (0, 0, -0.1), (0, 1, -0.105), (0, 2, -0.2), (1, 0, -0.15), (1, 1, -0.155),
        )
    ]  # fmt: skip
    found = [(row["fit"], row["epoch_in_fit"]) for row in better_epochs(rows, "document")]
    assert found == [(0, 0), (0, 2), (1, 0)]


def test_better_epochs_by_the_recommended_rule_by_hand():
    """The smallest distance since the first quarter: not the first epoch of four."""
    rows = [
        {"fit": 0, "epoch_in_fit": epoch, "critic_smooth": loss}
        for epoch, loss in enumerate((-0.1, -0.4, -0.5, -0.3))
    ]
    assert [row["epoch_in_fit"] for row in better_epochs(rows, "recommended")] == [1, 3]


def test_a_table_is_kept_once_and_read_again(tmp_path):
    name = keep(tmp_path, "My NAIP run", TABLE)
    assert keep(tmp_path, "My NAIP run", TABLE) == name
    (found,) = old_runs(tmp_path)
    assert found == old_run(tmp_path, name)
    assert (found.title, len(found.rows), found.printed) == (
        "My NAIP run", 3, ((0, -0.02270558290183544),)
    )  # fmt: skip
    forget(tmp_path, name)
    assert old_runs(tmp_path) == []


def test_what_cannot_be_kept_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="title"):
        keep(tmp_path, " ", TABLE)
    with pytest.raises(InputError, match="no row"):
        keep(tmp_path, "A", "nothing")
    monkeypatch.setattr(history, "_MOST_CHARACTERS", 10)
    with pytest.raises(TooLargeError, match="at most 10"):
        keep(tmp_path, "A", TABLE)
    assert not list(tmp_path.rglob("*.json"))


@given(st.text(max_size=30))
def test_row_4_no_name_of_an_old_run_reaches_outside(tmp_path_factory, name):
    """Row 4."""
    root: Path = tmp_path_factory.mktemp("root")
    (root / "secret.json").write_text("{}")
    with pytest.raises(AppError):
        forget(root / "space", name)
    assert (root / "secret.json").exists()
