from __future__ import annotations

import pytest

from connectors.base import Limits, Meter
from jobs.ration import rationed
from listener.errors import QuotaExhausted
from listener.usage import Usage


@pytest.mark.parametrize(
    ("pulled", "left"),
    [
        (Usage(), 25),
        (Usage(requests=75, quota_units=75, posts_read=75, cost_microusd=75), 25),
        (Usage(requests=90, quota_units=90, posts_read=90, cost_microusd=90), 10),
        (Usage(requests=130, quota_units=130, posts_read=130, cost_microusd=130), 0),
    ],
)
def test_look_ups_get_a_quarter_of_each_limit_and_no_more_than_is_left(pulled, left):
    limits = Limits(requests=100, quota_units=100, searches=100, posts_read=100, cost_microusd=100)
    wanted = Limits(requests=left, quota_units=left, searches=0, posts_read=left, cost_microusd=left)
    assert rationed(limits, pulled) == wanted


def test_what_has_no_limit_has_none_for_look_ups_but_a_search_is_never_theirs():
    assert rationed(Limits(), Usage(requests=9)) == Limits(searches=0)
    meter = Meter(rationed(Limits(), Usage()))
    meter.request()
    with pytest.raises(QuotaExhausted):
        meter.request(searches=1)
