"""A fingerprint in brief."""

from pipeline.report.fingerprint_facts import near_duplicate_rows


def test_pairs_of_a_bundles_own_fingerprint_are_listed_without_names() -> None:
    pair = {"parts": ["training", "test"], "similarity": 0.99}
    assert near_duplicate_rows({"near_duplicates": [pair]}, "test") == [["not named", "not named", "training", "0.990"]]
    named = {"near_duplicates": [{"a": "one.png", "b": "two.png", **pair}]}
    assert near_duplicate_rows(named, "test") == [["two.png", "one.png", "training", "0.990"]]
