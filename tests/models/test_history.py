import pytest

from core.errors import InputError
from models.history import read_log

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
