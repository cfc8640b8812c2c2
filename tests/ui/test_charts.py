from core.legends import LegendClass
from core.workspace import Layer, Summary
from ui.charts import class_shares

SAME = (LegendClass(1, "Park", "#00AA00"), LegendClass(2, "Park", "#009900"))


def test_classes_of_one_name_have_a_bar_each():
    layer = Layer(
        id="use", title="Use", kind="classes", legend=SAME,
        summary=Summary(valid_share=1.0, counts=((1, 30), (2, 70))),
    )  # fmt: skip
    figure = class_shares(layer)
    (bar,) = figure.data
    assert len(set(bar.y)) == 2
    names = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
    assert [names[y] for y in bar.y] == ["Park", "Park"]
    assert list(bar.x) == [30, 70]


def test_a_name_with_html_is_text():
    layer = Layer(
        id="use", title="Use", kind="classes", legend=(LegendClass(1, "<i>Park", ""),),
        summary=Summary(valid_share=1.0, counts=((1, 30),)),
    )  # fmt: skip
    assert class_shares(layer).layout.yaxis.ticktext == ("&lt;i&gt;Park",)
