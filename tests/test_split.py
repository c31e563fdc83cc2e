"""The split by subject: sides, balance, stability, and what it refuses."""

from collections import Counter

import numpy as np
import pytest

from pipeline.errors import InvalidSplit
from pipeline.split import Fractions, assign_folds, split_subjects, stratified_split, unit_hash


def cases_in(split, cases) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for subject, number in cases.items():
        counts[split.part[subject]] += number
    return dict(counts)


HUNDRED = {f"p{k:03d}": 1 for k in range(100)}
UNEVEN = {f"p{k:03d}": int(n) for k, n in enumerate(np.random.default_rng(0).geometric(0.2, 60))}


def test_equal_subjects_are_split_exactly_as_wanted():
    split = split_subjects(HUNDRED, Fractions(), seed=0)
    assert cases_in(split, HUNDRED) == {"training": 70, "validation": 10, "test": 20}


def test_subjects_with_many_cases_keep_the_parts_balanced_in_cases():
    split = split_subjects(UNEVEN, Fractions(0.6, 0.2, 0.2), seed=3)
    total = sum(UNEVEN.values())
    for part, share in {"training": 0.6, "validation": 0.2, "test": 0.2}.items():
        assert abs(cases_in(split, UNEVEN)[part] - share * total) <= 2


def test_split_does_not_depend_on_the_order_of_the_subjects():
    turned = dict(reversed(UNEVEN.items()))
    assert split_subjects(turned, Fractions(), seed=1) == split_subjects(UNEVEN, Fractions(), seed=1)


def test_another_seed_gives_another_split():
    first, second = (split_subjects(HUNDRED, Fractions(), seed=seed) for seed in (0, 1))
    assert first.part != second.part


def test_split_of_a_seed_never_changes():
    # Frozen: a release that changes it would move test subjects into training.
    split = split_subjects(dict.fromkeys("abcdefghij", 1), Fractions(0.5, 0.2, 0.3), seed=7, folds=2)
    assert "".join(sorted(s for s, part in split.part.items() if part == "test")) == "bij"
    assert "".join(sorted(s for s, fold in split.fold.items() if fold == 0)) == "adfg"


def test_folds_hold_every_subject_outside_the_test_part_once():
    split = split_subjects(UNEVEN, Fractions(), seed=0, folds=4)
    assert set(split.fold) == {subject for subject, part in split.part.items() if part != "test"}
    assert set(split.fold.values()) == {0, 1, 2, 3}


def test_folds_are_balanced_in_cases():
    folds = assign_folds(UNEVEN, folds=5, seed=0)
    load = Counter()
    for subject, fold in folds.items():
        load[fold] += UNEVEN[subject]
    assert max(load.values()) - min(load.values()) <= 1


def test_every_wanted_part_gets_a_subject_even_if_one_subject_has_most_cases():
    split = split_subjects({"a": 500, "b": 1, "c": 1}, Fractions(), seed=0, folds=1)
    assert sorted(split.part.values()) == ["test", "training", "validation"]


def test_part_with_share_zero_stays_empty():
    split = split_subjects(HUNDRED, Fractions(0.8, 0, 0.2), seed=0)
    assert cases_in(split, HUNDRED) == {"training": 80, "test": 20}


def test_too_few_subjects_for_the_parts_are_refused():
    with pytest.raises(InvalidSplit, match="2 subjects cannot be split into training and validation and test"):
        split_subjects({"a": 9, "b": 9}, Fractions(), seed=0)


@pytest.mark.parametrize(
    ("subjects", "folds", "said"),
    [
        ("a", None, "--split 1,0,0"),
        ("ab", None, "--split 0.5,0,0.5"),
        ("a", 5, "--split 1,0,0 --folds 1"),
        ("ab", 5, "--split 0.5,0,0.5 --folds 1"),
    ],
)
def test_what_too_few_subjects_are_told_to_say_works(subjects, folds, said):
    cases = dict.fromkeys(subjects, 9)
    with pytest.raises(InvalidSplit) as caught:
        split_subjects(cases, Fractions(), seed=0, folds=folds)
    assert f"({said})" in str(caught.value)
    shares, _, number = said.removeprefix("--split ").partition(" --folds ")
    split = split_subjects(cases, Fractions.parse(shares), seed=0, folds=int(number) if number else None)
    assert len(split.part) == len(subjects)


def test_where_nobody_asked_for_folds_few_subjects_have_as_many_as_they_can_fill():
    assert set(assign_folds({"a": 3, "b": 1}, folds=None, seed=0).values()) == {0, 1}
    assert set(assign_folds(HUNDRED, folds=None, seed=0).values()) == set(range(5))
    assert set(split_subjects({"a": 1, "b": 1, "c": 1}, Fractions(), seed=0).fold.values()) == {0, 1}
    shown = {"a": {1}, "b": {1}, "c": {1}, "d": {1}}
    assert len(stratified_split(dict.fromkeys(shown, 1), shown, Fractions(0.5, 0, 0.5), seed=0).fold) == 2
    assert assign_folds({}, folds=None, seed=0) == {}


def test_too_few_subjects_for_the_folds_are_refused_with_the_number_that_works():
    with pytest.raises(InvalidSplit, match="--folds 3"):
        split_subjects(dict.fromkeys("abcd", 1), Fractions(0.5, 0.25, 0.25), seed=0, folds=5)


@pytest.mark.parametrize("text", ["0.7,0.3", "0.7,0.1,0.3", "a,b,c", "1.2,-0.2,0", ""])
def test_wrong_shares_are_refused(text):
    with pytest.raises(InvalidSplit):
        Fractions.parse(text)


def test_shares_may_be_per_cent():
    assert Fractions.parse("70,10,20") == Fractions(0.7, 0.1, 0.2)


def test_unit_hash_is_spread_over_the_interval():
    values = [unit_hash(str(k)) for k in range(1000)]
    assert 0 <= min(values) < 0.01
    assert 0.99 < max(values) < 1
    assert abs(np.mean(values) - 0.5) < 0.03


RARE = {subject: {1} | ({2} if number < 4 else set()) for number, subject in enumerate(HUNDRED)}
TWENTY = dict(list(HUNDRED.items())[:20])


def shown_in(split, number: int) -> Counter[str]:
    return Counter(part for subject, part in split.part.items() if number in RARE[subject])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rare_class_is_shared_out(seed: int):
    split = stratified_split(TWENTY, RARE, Fractions(0.5, 0.25, 0.25), seed=seed, folds=3)
    assert cases_in(split, TWENTY) == {"training": 10, "validation": 5, "test": 5}
    assert shown_in(split, 2) == {"training": 2, "validation": 1, "test": 1}
    folds = [fold for subject, fold in split.fold.items() if 2 in RARE[subject]]
    assert sorted(folds) == [0, 1, 2]


def test_some_seed_leaves_the_rare_class_to_chance_and_the_stratified_one_is_the_same_each_time():
    parts = Fractions(0.5, 0.25, 0.25)
    assert any(shown_in(split_subjects(TWENTY, parts, seed=seed), 2)["test"] != 1 for seed in range(5))
    assert stratified_split(TWENTY, RARE, parts, seed=0) == stratified_split(TWENTY, RARE, parts, seed=0)
