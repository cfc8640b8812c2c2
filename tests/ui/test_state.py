"""Widgets that show what the session holds, also where a first run of the page was overtaken."""

from types import SimpleNamespace

import streamlit as st
from streamlit.testing.v1 import AppTest

from ui.state import draw_showing, follow_words, widget_value


def test_a_widget_holds_its_value_as_default_as_well():
    """A value that is only set is lost with a run that is overtaken; a default is in each run."""

    def page():
        import streamlit as st

        from ui.state import draw_showing

        def heard():
            st.session_state["heard"] = True

        more = {"on_change": heard}
        draw_showing(80, st.select_slider, "step", [0, 40, 80], key="step", **more)
        draw_showing((1, 2), st.select_slider, "range", [0, 1, 2], key="range", **more)
        draw_showing("b", st.selectbox, "box", ["a", "b"], key="box", **more)
        draw_showing("b", st.segmented_control, "parts", ["a", "b"], key="parts", **more)
        draw_showing(["b"], st.multiselect, "many", ["a", "b"], key="many", **more)
        draw_showing(0.5, st.slider, "psi", -1.0, 1.0, key="psi", **more)
        draw_showing(True, st.toggle, "noise", key="noise", **more)
        draw_showing("3-8", st.text_input, "seeds", key="seeds", **more)

    app = AppTest.from_function(page).run()
    assert not app.exception
    step, span = app.select_slider
    assert (list(step.proto.default), step.value) == ([2], 80)
    assert (list(span.proto.default), span.value) == ([1, 2], (1, 2))
    assert (app.selectbox[0].proto.default, app.selectbox[0].value) == (1, "b")
    assert list(app.get("button_group")[0].proto.default) == [1]
    assert list(app.multiselect[0].proto.default) == [1]
    assert list(app.slider[0].proto.default) == [0.5]
    assert app.toggle[0].proto.default is True
    assert app.text_input[0].proto.default == "3-8"
    assert "heard" not in app.session_state


def test_what_is_shown_follows_the_session_and_not_the_first_default():
    def page():
        import streamlit as st

        from ui.state import draw_showing

        held = st.session_state.setdefault("held", 40)

        def moved():
            st.session_state["held"] = st.session_state["step"]

        draw_showing(held, st.select_slider, "step", [0, 40, 80], key="step", on_change=moved)

    app = AppTest.from_function(page).run()
    app.session_state["held"] = 80
    assert app.run().select_slider[0].value == 80
    assert app.select_slider[0].proto.set_value
    app.select_slider[0].set_value(0).run()
    assert app.session_state["held"] == 0
    assert not app.run().select_slider[0].proto.set_value


def test_a_value_that_is_no_option_leaves_a_box_empty(monkeypatch):
    seen = {}
    monkeypatch.setattr(st, "session_state", {})
    box = SimpleNamespace(selectbox=lambda *_, **more: seen.update(more))
    box.selectbox.__name__ = "selectbox"
    draw_showing("gone", box.selectbox, "Layer", ["a"], key="box")
    assert seen["index"] is None


def test_words_that_have_changed_since_they_were_drawn_are_read_as_what_they_meant(monkeypatch):
    """A run ends while its line is on the screen: the browser tells the line that it had."""
    monkeypatch.setattr(st, "session_state", {})

    def selectbox(*_args, **_more):
        pass

    for words in ({"r1": "Roofs, running"}, {"r1": "Roofs, done", "r2": "r1"}):
        draw_showing("r1", selectbox, "Run", list(words), key="run", format_func=words.get)
    told = {"Roofs, running": "r1", "Roofs, done": "r1", "r1": "r1", "r2": "r2", "other": "other"}
    for text, meant in told.items():
        st.session_state["run"] = text
        assert widget_value("run") == meant
    st.session_state["run"] = ["Roofs, running", "r2"]
    assert widget_value("run") == ["r1", "r2"]


def test_a_choice_outlives_a_change_of_its_words(monkeypatch):
    monkeypatch.setattr(st, "session_state", {})
    english, chinese = {"a": "Files", "b": "Layers"}, {"a": "文件", "b": "图层"}
    follow_words("from", english, english.get)
    st.session_state["from"] = "b"
    follow_words("from", english, english.get)
    st.session_state["from"] = "Layers"  # as the browser tells it when the words are others already
    follow_words("from", chinese, chinese.get)
    assert st.session_state["from"] == "b"


def test_a_choice_whose_words_stay_is_left_alone(monkeypatch):
    """What is set goes to the browser, and would put back what was moved meanwhile."""
    writes = []

    class Watched(dict):
        def __setitem__(self, key, value):
            writes.append(key)
            super().__setitem__(key, value)

    monkeypatch.setattr(st, "session_state", Watched({"from": "b"}))
    words = [{"b": "Layers"}, {"b": "图层"}, {"b": "Layers"}, {"b": "Layers"}]
    for one in words:
        writes.clear()
        follow_words("from", one, one.get)
    assert "from" not in writes
