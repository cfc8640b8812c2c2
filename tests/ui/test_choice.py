from ui.choice import distinct


def test_equal_names_say_their_id_and_others_stay_as_they_are():
    names = {"heat": "Heat", "warm": "Heat", "cover": "Cover"}
    assert distinct(names) == {"heat": "Heat (heat)", "warm": "Heat (warm)", "cover": "Cover"}
