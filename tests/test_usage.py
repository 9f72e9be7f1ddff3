from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from listener.usage import Usage

AMOUNTS = st.integers(min_value=0, max_value=10**12)
USAGES = st.builds(
    Usage, requests=AMOUNTS, quota_units=AMOUNTS, searches=AMOUNTS, posts_read=AMOUNTS, cost_microusd=AMOUNTS
)


@given(USAGES, USAGES, USAGES)
def test_usages_add_field_by_field_in_any_order(a: Usage, b: Usage, c: Usage) -> None:
    assert asdict(a + b) == {name: value + asdict(b)[name] for name, value in asdict(a).items()}
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Usage() == a
