"""Generate: texts that are longer than their fields, from a link and from a browser."""

import pytest

from tests.pages.said import clean, only
from tests.pages.test_generate import needs_torch, pictures, view
from tests.pages.tiny_model import make_model

FIELDS = {
    "seeds": ("grid", "Seeds"),
    "rows": ("truncation", "Seeds, one a row"),
    "psis": ("truncation", "psi, one a column"),
    "sources": ("mixing", "Sources, seeds of the columns"),
    "destinations": ("mixing", "Destinations, seeds of the rows"),
    "source_psis": ("mixing", "psi of the sources"),
    "destination_psis": ("mixing", "psi of the destinations"),
    "written": ("mixing", "Layers of each row"),
    "stops": ("walk", "Seeds on the way"),
    "terms": ("sum", "Sum of seeds"),
}
TEXTS = {
    "digits": "1" * 50_000,
    "words": "上海 <b>" * 9_000,
    "commas": "1," * 25_000,
    "signs": "-" * 50_000,
    "sums": "1+" * 25_000,
}


@pytest.fixture
def tiny(space):
    return make_model(space.root)


@needs_torch
@pytest.mark.parametrize("kind", ["digits", "sums"])
@pytest.mark.parametrize("field", FIELDS)
def test_row_28_a_long_text_of_a_link_is_a_sentence_or_a_figure(tiny, open_page, field, kind):
    """Row 28: cut in the session and in the sentence."""
    show, _ = FIELDS[field]
    app = open_page("generate", model=tiny, show=show, **{field: TEXTS[kind]})
    assert len(getattr(view(app), field)) <= 2000
    assert app.error or pictures(app)
    assert all(len(one.value) < 400 for one in app.error)


@needs_torch
@pytest.mark.parametrize("field", FIELDS)
def test_row_28_what_a_browser_sends_beyond_a_fields_length_is_refused_in_a_sentence(
    tiny, open_page, field
):
    """Row 28: the length of a field is kept by the browser alone."""
    show, label = FIELDS[field]
    app = open_page("generate", model=tiny, show=show)
    for kind in ("digits", "commas", "words", "signs"):
        only(app.text_input, label).set_value(TEXTS[kind])
        clean(app.run())
        assert app.error
        assert all(len(one.value) < 400 for one in app.error)
        assert sum(len(str(value)) for value in app.query_params.values()) < 10_000
    only(app.text_input, label).set_value("1")
    clean(app.run())


@needs_torch
def test_row_28_ids_that_are_too_long_name_nothing(tiny, open_page):
    """Row 28."""
    app = open_page("generate", model="x" * 50_000, digest="y" * 50_000, latents="z" * 50_000)
    assert app.error or app.warning
    assert all(len(one.value) < 600 for one in (*app.error, *app.warning))
    assert len(view(app).digest) <= 64
