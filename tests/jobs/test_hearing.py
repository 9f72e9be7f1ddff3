from __future__ import annotations

import pytest

from jobs.hearing import account_name, own_handles


@pytest.mark.parametrize(
    "written", ["StElsewhere", "@StElsewhere", " @stelsewhere ", "u/StElsewhere", "/u/StElsewhere", "STELSEWHERE"]
)
def test_an_account_is_the_same_however_it_is_written(written):
    assert account_name(written) == "stelsewhere"


def test_handles_of_every_organization_are_left_in_texts(fake):
    organizations = [
        fake.make_organization("a", aliases=["@A", "St A"], own_accounts={"x": ["@A", "1"]}),
        fake.make_organization("b", aliases=["@B"], own_accounts={}),
    ]
    assert own_handles(organizations) == ["@A", "1", "@B"]
