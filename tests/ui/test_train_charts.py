from ui.train_charts import sliced


def judged(step, **distances):
    """Return what was measured at a step: distances by side in pixels."""
    return {
        "step": step,
        "swd": [
            {"size_px": int(side[2:]), "metres": 64 / int(side[2:]), "distance": far}
            for side, far in distances.items()
        ],
    }


def test_the_distances_of_a_size_stay_on_its_own_curve_as_a_network_grows():
    rows = [judged(1, px16=70.0), judged(2, px16=60.0), judged(3, px32=90.0, px16=55.0)]
    curves = {trace.name: (list(trace.x), list(trace.y)) for trace in sliced(
        rows, at=None, ends=[]
    ).data}  # fmt: skip
    assert curves["16 px, 4 m a pixel"] == ([1, 2, 3], [70.0, 60.0, 55.0])
    assert curves["32 px, 2 m a pixel"] == ([3], [90.0])
