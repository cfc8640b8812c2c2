"""Templates and the values that fill them, in another language and by way of a file."""

import json

import pytest

from core.errors import AppError, InputError
from core.text import N_, Marked, as_json, filled
from core.wkb import damaged

CHINESE = {
    "There is no {what} {name!r}.": "没有{what}“{name}”。",
    "run": "运行",
    "Its file: {reason}": "其文件：{reason}",
    "{name} cannot be read: {reason}.": "{name} 无法读取：{reason}。",
    "no column {column!r}": "缺少列“{column}”",
}


def chinese(text: str) -> str:
    return CHINESE.get(text, text)


def test_a_marked_value_is_translated_and_a_name_is_not():
    error = InputError(N_("There is no {what} {name!r}."), what=N_("run"), name="run")
    assert str(error) == "There is no run 'run'."
    assert error.message(chinese) == "没有运行“run”。"


def test_what_is_marked_stays_so_in_a_file():
    error = InputError(N_("There is no {what} {name!r}."), what=N_("run"), name="run", at=0.5)
    body = json.loads(json.dumps(error.body()))
    assert body["values"] == {"what": {"marked": "run"}, "name": "run", "at": 0.5}
    again = AppError(body["problem"], hint=body["hint"], **body["values"])
    assert (str(again), again.message(chinese)) == (str(error), error.message(chinese))
    assert again.body() == error.body()


def test_files_of_earlier_versions_are_told_as_they_were():
    assert filled("There is no {what} {name!r}.", {"what": "run", "name": "x"}) == (
        "There is no run 'x'."
    )


def test_an_error_within_a_sentence_is_translated_too():
    inner = damaged("a.gpkg", N_("no column {column!r}"), column="run")
    assert str(inner).startswith("a.gpkg cannot be read: no column 'run'.")
    values = json.loads(json.dumps(as_json({"reason": inner.body()})))
    assert filled("Its file: {reason}", values, chinese).startswith(
        "其文件：a.gpkg 无法读取：缺少列“run”。"
    )


@pytest.mark.parametrize("value", [{"marked": 1, "x": 2}, [1], None, ("a",), {}])
def test_any_other_value_is_written_out(value):
    assert as_json({"x": value}) == {"x": str(value)}


def test_marked_text_is_text():
    assert N_("run") == "run" and isinstance(N_("run"), Marked)
    assert json.dumps({N_("run"): N_("run")}) == '{"run": "run"}'


@pytest.mark.parametrize(
    "value",
    [{"marked": 5}, {"problem": 1, "hint": "", "values": {}},
     {"problem": "a", "hint": "", "values": []}],
)  # fmt: skip
def test_values_of_a_file_that_look_like_marked_ones_are_shown_as_they_are(value):
    assert filled("{what}", {"what": value}) == str(value)


def test_a_template_that_its_values_do_not_fit_is_shown_itself():
    for template in ("{gone}", "{0}", "{what:q}", "{what.x}"):
        assert filled(template, {"what": "a"}) == template
