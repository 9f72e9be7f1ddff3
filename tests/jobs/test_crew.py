"""Crews: order, window, what a dead process had, where they are and what is said where there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import distributed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.cluster import check_versions, installed, joined
from jobs.crew import Crew, Place, Pool, cores, crew_of, in_order, place_of
from jobs.hearing_apart import Dictation, Texts, hear_texts
from listener.errors import ConfigError, ListenerError
from listener.signals.taxonomy import Taxonomy
from tests.jobs.crew_tasks import Number, die, die_once, double, pid, refuse

ROOT = Path(__file__).parents[2]


def numbers(count: int, **marked: str) -> list[tuple[int, Number]]:
    return [(number, Number(number, marked.get(f"n{number}", ""))) for number in range(count)]


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 7), st.randoms(use_true_random=False))
def test_results_come_in_order_and_no_more_than_a_window_is_under_way(
    tasks: list[bool], window: int, chance: Any
) -> None:
    under_way: list[Future[int]] = []
    most = 0

    def begin(task: Number) -> Future[int]:
        nonlocal most
        future: Future[int] = Future()
        under_way.append(future)
        most = max(most, sum(not one.done() for one in under_way))
        if chance.random() < 0.5:
            future.set_result(2 * task.number)
        return future

    def end(task: Number, future: Future[int]) -> int:
        if not future.done():
            future.set_result(2 * task.number)
        return future.result()

    work = [(number, Number(number) if is_task else None) for number, is_task in enumerate(tasks)]
    told = list(in_order(work, window, begin, end))
    assert told == [(number, 2 * number if is_task else None) for number, is_task in enumerate(tasks)]
    assert most <= window + 1


def test_work_is_asked_for_as_it_is_needed_and_told_in_order(crew: Crew) -> None:
    asked: list[int] = []

    def work() -> Iterator[tuple[int, Number | None]]:
        for number in range(40):
            asked.append(number)
            yield number, Number(number) if number % 5 else None

    for number, told in crew.each(double, work()):
        assert told == (2 * number if number % 5 else None)
        assert len(asked) <= number + 7
    assert asked == list(range(40))


def test_what_a_task_raises_is_raised_in_its_turn(crew: Crew) -> None:
    told = crew.each(refuse, [(0, None), (1, Number(1))])
    assert next(told) == (0, None)
    with pytest.raises(ConfigError, match="no number 1"):
        next(told)
    assert [each for _, each in crew.each(double, numbers(3))] == [0, 2, 4]


def test_what_a_dead_process_had_is_done_again(crew: Crew, tmp_path: Path) -> None:
    told = list(crew.each(die_once, numbers(12, n3=str(tmp_path / "died"), n9=str(tmp_path / "died too"))))
    assert told == [(number, 2 * number) for number in range(12)]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_pool_names_the_task_that_processes_die_of(pool: Pool) -> None:
    told = pool.each(die, numbers(5, n2="always"))
    assert [next(told)[0] for _ in range(2)] == [0, 1]
    with pytest.raises(ListenerError, match="4 processes in a row died while they heard number 2"):
        next(told)
    assert [each for _, each in pool.each(double, numbers(3))] == [0, 2, 4]


def test_a_pool_ends_with_who_started_it(tmp_path: Path) -> None:
    program = """
    import os, sys, time
    from jobs.crew import Pool
    from tests.jobs.crew_tasks import Number, pid
    if __name__ == "__main__":
        with Pool(1) as pool:
            for _, told in pool.each(pid, [(0, Number(0))]):
                print(told, flush=True)
                time.sleep(600)
    """
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(program), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    ) as driver:
        assert driver.stdout
        worker = int(driver.stdout.readline())
        driver.kill()
    until = time.monotonic() + 30
    while _lives(worker):
        assert time.monotonic() < until
        time.sleep(0.05)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_workers_of_our_own_that_leave_are_replaced(dask: Any) -> None:
    dask._client.retire_workers(list(dask._client.nthreads()))
    assert [each for _, each in dask.each(double, numbers(3))] == [0, 2, 4]


def test_dask_names_the_task_that_workers_die_of() -> None:
    with (
        __import__("dask").config.set({"distributed.scheduler.allowed-failures": 0}),
        _scheduler(workers=1) as address,
        joined(Place(address)) as crew,
        # It names the first that it has no answer to: of the one before, the worker may die before it has told.
        pytest.raises(ListenerError, match=r"processes in a row died while they heard number [01]"),
    ):
        list(crew.each(die, numbers(3, n1="always")))


def test_a_scheduler_that_goes_away_is_told() -> None:
    scheduler = _scheduler(workers=1)
    with scheduler as address, joined(Place(address)) as crew:
        told = crew.each(double, ((number, Number(number)) for number in range(10**6)))
        assert next(told) == (0, 0)
        scheduler.close()
        with pytest.raises(ListenerError, match=r"the Dask scheduler .* the same command goes on from there"):
            list(told)


def test_a_scheduler_without_workers_is_told() -> None:
    with (
        _scheduler(workers=0) as address,
        pytest.raises(ConfigError, match=r"has no workers: start some \(dask worker tcp://"),
        joined(Place(address), patience=0.2),
    ):
        pass


def test_tls_without_certificates_is_told() -> None:
    with pytest.raises(ConfigError, match=r"tls://127\.0\.0\.1:9: Dask's configuration names no certificates"):
        joined(Place("tls://127.0.0.1:9")).__enter__()


def test_neither_tasks_nor_keys_show_what_is_heard(dask: Any) -> None:
    text = "Ask for Ann Smith"
    task = Dictation(Taxonomy.load()).of("dump.zst from line 1", ((text, None),))
    assert repr(task) == "Texts(label='dump.zst from line 1')"
    ((_, heard),) = dask.each(hear_texts, [(0, task)])
    assert heard == hear_texts(task)
    story = dask._client.run_on_scheduler(_known_to)
    assert "hear-" in story
    for hidden in ("Ann", "Smith", "dump.zst", str(Path.cwd())):
        assert hidden not in story


def _known_to(dask_scheduler: Any) -> str:
    return repr((dask_scheduler.transition_log, dask_scheduler.tasks))


class _scheduler:  # noqa: N801 - used as the function that it would be, were there no way to close it early
    """A scheduler on loopback, without TLS, as somebody else would have started it."""

    def __init__(self, workers: int) -> None:
        self._cluster = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        )

    def close(self) -> None:
        self._cluster.close()

    def __enter__(self) -> str:
        return str(self._cluster.scheduler_address)

    def __exit__(self, *_: object) -> None:
        self._cluster.close()


def test_workers_that_would_hear_otherwise_are_refused() -> None:
    check_versions({"tcp://one": installed()})
    with pytest.raises(ConfigError, match=r"tcp://two has 0.0.1 with models abc, this command has .* with models"):
        check_versions({"tcp://one": installed(), "tcp://two": ("0.0.1", "abc")})
    with pytest.raises(ConfigError, match="tcp://two has no Listener that can be used"):
        check_versions({"tcp://two": ModuleNotFoundError("No module named 'jobs'")})
    with pytest.raises(ConfigError, match=r"a worker hears as .*, this command as other/models"):
        hear_texts(Texts(label="x", version="other/models", taxonomy=None, lines=()))


def test_a_taxonomy_of_ones_own_travels_with_the_texts(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('version = "1"\nextends = "shipped"\noff = ["parking"]\n', encoding="utf-8")
    shipped, own = Taxonomy.load(), Taxonomy.load(file)
    lines = (("My mother was in hospital for a week and I paid for parking every day", None),)
    (usual,) = hear_texts(Dictation(shipped).of("x", lines))
    (mine,) = hear_texts(Dictation(own).of("x", lines))
    assert Dictation(shipped).of("x", lines).taxonomy is None
    assert "parking" in {hit.slug for hit in usual.topics}
    assert "parking" not in {hit.slug for hit in mine.topics}
    assert (usual.version, mine.version) != (mine.version, mine.version)


def test_where_a_crew_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    assert place_of("auto") == place_of("local") == Place(size=cores())
    assert place_of("local:3") == Place(size=3)
    assert place_of("tcp://scheduler") == Place("tcp://scheduler:8786")
    assert place_of("tls://[::1]:9000") == Place("tls://[::1]:9000")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://10.0.0.1:1234")
    assert place_of("auto") == Place("tcp://10.0.0.1:1234")
    assert place_of("local:1") == Place(size=1)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "scheduler:8786")
    with pytest.raises(ConfigError, match="DASK_SCHEDULER_ADDRESS scheduler:8786: write auto, local, local:N"):
        place_of("auto")


@pytest.mark.parametrize("nonsense", ["", "here", "local:0", "local:-1", "local:1000", "local:257", "http://x:1"])
def test_a_place_that_is_none_is_told(nonsense: str) -> None:
    with pytest.raises(ConfigError, match=f"--cluster {nonsense}: "):
        place_of(nonsense)


def test_a_password_that_was_given_by_mistake_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="--cluster …: write auto") as caught:
        place_of("postgresql://listener:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


def test_nobody_is_asked_where_this_process_does_it_all() -> None:
    with crew_of() as crew:
        assert crew is None
    with crew_of(processes=2) as crew:
        assert isinstance(crew, Pool)
    with pytest.raises(ConfigError, match="two ways of one thing"), crew_of(cluster="local", processes=2):
        pass


def test_processes_of_our_own_outlive_ctrl_c(crew: Crew) -> None:
    ((_, before),) = crew.each(pid, numbers(1))
    assert before
    os.kill(before, signal.SIGINT)
    assert [each for _, each in crew.each(double, numbers(3))] == [0, 2, 4]
    assert _lives(before)
