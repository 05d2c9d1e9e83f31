"""How levels of configuration combine, each strategy as it promises (contract 16.1)."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.config.merging import Rule, Strategy, amended, combined

ORDER = ("lax", "firm", "strict")
LEAVES = st.integers(-3, 3) | st.booleans() | st.none() | st.text("xy", max_size=2)
OBJECTS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAVES | st.lists(LEAVES, max_size=3), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner | LEAVES, max_size=3),
    max_leaves=10,
)
VALUES = {
    Strategy.OVERRIDE: OBJECTS,
    Strategy.MERGE_DEEP: OBJECTS,
    Strategy.APPEND: st.lists(st.integers(0, 4), max_size=4, unique=True),
    Strategy.MIN: st.integers(0, 5),
    Strategy.MAX: st.integers(0, 5),
    Strategy.ORDERED_MAX: st.sampled_from(ORDER),
}
RULES = {strategy: Rule(strategy, order=ORDER, unlimited=0) for strategy in Strategy}
EVERY = pytest.mark.parametrize("strategy", Strategy)


def folded(rule, values):
    first, *others = values
    for value in others:
        first = rule.combine(first, value)
    return first


@EVERY
@given(data=st.data())
def test_saying_the_same_again_changes_nothing(strategy, data):
    rule, general, specific = RULES[strategy], data.draw(VALUES[strategy]), data.draw(VALUES[strategy])
    once = rule.combine(general, specific)
    assert rule.combine(once, specific) == once
    assert rule.combine(general, general) == general


@EVERY
@given(data=st.data())
def test_neither_side_is_changed(strategy, data):
    general, specific = data.draw(VALUES[strategy]), data.draw(VALUES[strategy])
    before = copy.deepcopy((general, specific))
    RULES[strategy].combine(general, specific)
    assert (general, specific) == before


# Not `merge_deep`: where one of three levels says null, it parts the objects of the others.
@pytest.mark.parametrize("strategy", [item for item in Strategy if item is not Strategy.MERGE_DEEP])
@given(data=st.data())
def test_levels_may_be_grouped_in_any_way(strategy, data):
    rule = RULES[strategy]
    one, two, three = (data.draw(VALUES[strategy]) for _ in range(3))
    assert rule.combine(rule.combine(one, two), three) == rule.combine(one, rule.combine(two, three))


@given(OBJECTS, OBJECTS)
def test_merge_deep_speaks_where_the_specific_does_and_nowhere_else(general, specific):
    result = combined(general, specific)
    assert set(result) == set(general) | set(specific)
    for key in result:
        if key not in specific:
            assert result[key] == general[key]
        elif isinstance(specific[key], dict) and isinstance(general.get(key), dict):
            assert result[key] == combined(general[key], specific[key])
        elif isinstance(specific[key], list) and isinstance(general.get(key), list):
            assert result[key] == specific[key] + general[key][len(specific[key]) :]
        else:
            assert result[key] == specific[key]


@given(OBJECTS, OBJECTS)
def test_override_takes_the_specific_whole(general, specific):
    assert RULES[Strategy.OVERRIDE].combine(general, specific) == specific


@given(VALUES[Strategy.APPEND], VALUES[Strategy.APPEND])
def test_append_keeps_the_order_of_both_and_repeats_nothing(general, specific):
    result = RULES[Strategy.APPEND].combine(general, specific)
    assert result[: len(general)] == general
    assert set(result) == set(general) | set(specific)
    assert len(result) == len(set(result))


@given(st.lists(VALUES[Strategy.MIN], min_size=1, max_size=5))
def test_no_level_loosens_a_limit_and_none_is_no_limit(limits):
    limited = [limit for limit in limits if limit]
    assert folded(RULES[Strategy.MIN], limits) == (min(limited) if limited else 0)


@given(st.lists(VALUES[Strategy.MAX], min_size=1, max_size=5))
def test_the_highest_of_all_levels_counts(values):
    assert folded(RULES[Strategy.MAX], values) == max(values)


@given(st.lists(VALUES[Strategy.ORDERED_MAX], min_size=1, max_size=5))
def test_no_level_loosens_a_policy(policies):
    assert folded(RULES[Strategy.ORDERED_MAX], policies) == max(policies, key=ORDER.index)


@given(OBJECTS, OBJECTS)
def test_each_key_goes_by_its_own_rule(general, specific):
    general, specific = general | {"limit": 5, "whole": {"a": 1}}, specific | {"limit": 7, "whole": {"b": 2}}
    result = combined(general, specific, {"limit": RULES[Strategy.MIN], "whole": RULES[Strategy.OVERRIDE]})
    assert (result["limit"], result["whole"]) == (5, {"b": 2})


@given(OBJECTS, OBJECTS)
def test_an_amendment_takes_arrays_whole_and_is_said_once(present, change):
    result = amended(present, change)
    assert amended(result, change) == result
    for key, value in change.items():
        if not isinstance(value, dict):
            assert result[key] == value
    assert {key: value for key, value in present.items() if key not in change}.items() <= result.items()
