"""The cases that are shown: typical ones, and those at the ends."""

from pipeline.fingerprint import Gatherer, telling_cases


def figures(cases):
    gatherer = Gatherer(2)
    return [gatherer.add(case) for case in cases]


def test_typical_cases_come_first_and_ends_are_named(discs):
    cases = [discs(k, radius=12 + k % 3) for k in range(12)]
    cases += [discs(20, radius=3), discs(21, radius=22), discs(22, level=150), discs(23, centre=(12, 24))]
    told = telling_cases(figures(cases), ["background", "disc"])
    assert [reasons for _, reasons in told[:3]] == [["typical"]] * 3
    assert all(place < 12 for place, _ in told[:3])
    by_place = dict(told)
    assert "smallest foreground" in by_place[12]
    assert "largest foreground" in by_place[13]
    assert "brightest" in by_place[14]
    assert "furthest to the left" in by_place[15]


def test_a_case_at_two_ends_is_shown_once(discs):
    told = telling_cases(figures([discs(0), discs(1), discs(2), discs(3), discs(4, radius=4, level=5)]), ["", "disc"])
    assert len({place for place, _ in told}) == len(told)
    assert {"smallest foreground", "darkest"} <= set(dict(told)[4])


def test_cases_without_any_class_are_shown(discs):
    cases = [discs(k, radius=10 + k % 4) for k in range(8)] + [discs(9, centre=(-40, -40))]
    assert "no class at all" in dict(telling_cases(figures(cases), ["background", "disc"]))[8]


def test_equal_cases_and_no_cases_raise_nothing(discs):
    assert telling_cases([], ["background", "disc"]) == []
    same = figures([discs(0)] * 4)
    assert [reasons for _, reasons in telling_cases(same, ["background", "disc"])] == [["typical"]] * 3
