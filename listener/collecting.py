"""How often Python looks for garbage: a matter of the process, and so of its beginning."""

import gc

_ALLOCATED = 50_000
_YOUNGER = 20


def collect_rarely() -> None:
    """Have Python look for cycles of objects a seventieth as often as by itself.

    A process that hears holds a million objects for good (phrases, models) and makes next to no cycles: to look
    for them every 700 allocations is time for nothing. What is without cycles is freed at once as ever.
    """
    gc.set_threshold(_ALLOCATED, _YOUNGER, _YOUNGER)
