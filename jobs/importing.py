"""Archives into the store: what others have read and kept comes the way that pulled mentions come.

    file ─▶ shard ─▶ batches ─▶ redact ─▶ known? ─▶ hear ─▶ save_page (mentions, cursor) ─▶ … ─▶ covered
            └ jobs/archives: pure ┘       └── jobs/hearing.py ──┘     └─ one transaction ─┘

What must hold, and why it does:

- A file is a stream of each organization and channel that it has mentions for. The cursor of one of them, the
  lead, says how far the unpacked content has been read; it is committed with the last mentions of the batch it
  stands for. Killed anywhere, nothing is lost and nothing doubled: the next import of the same file goes on from
  there, and what was saved beyond it is known by its key.
- A mention that was pulled is the same as one that is imported: the connectors' own normalisers read it, and the
  key is the platform's. A copy from an archive is older than any other (:mod:`storage.decide`): it neither writes
  over what is stored, nor removes or restores anything.
- A file that is another than the one that was begun is not gone on with; the aliases that it was looked through
  for are part of what the stream is, so that with new ones it is read anew.
- A line that cannot be read is told in a file of rejects, without what stands in it, and stops nothing. Where most
  lines cannot, the format is wrong, and that stops the import.
- An import claims to have read no time at all, unless whoever runs it says which days the archive has whole.
- A crew (:mod:`jobs.crew`) hears, and does nothing else: one process reads and saves, in the file's order, so that
  all of this holds however many hear.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import connectors as installed
from jobs import leases
from jobs.archives import exported, files, formats, table
from jobs.archives.ahead import Ahead, Foretold
from jobs.archives.formats import Readers, Wanted, plan_for
from jobs.archives.kept import Archive, Cursor, Desk, Owner
from jobs.archives.reading import BATCH, Batch, Plan, Shard, read_shard
from jobs.archives.records import Records, corrections_in
from jobs.archives.rejects import Rejects
from jobs.connections import Platforms
from jobs.hearing import analyzer_for
from jobs.hearing_apart import Dictation
from jobs.ingest import forecast
from jobs.reading import changed_days
from jobs.retag import terms_of
from listener.errors import ConfigError
from listener.signals.taxonomy import Taxonomy
from listener.usage import Usage
from storage import correcting
from storage.records import PageCounts, text_fingerprint
from storage.retagging import kept_of

if TYPE_CHECKING:
    from jobs.archives.found import Found
    from jobs.crew import Crew
    from listener.clock import Clock
    from listener.settings import Settings
    from storage.correcting import Correction, Name
    from storage.store import MentionStore

LEASE_TTL = timedelta(minutes=10)
"""Longer than a batch takes, unpacking up to where an import was stopped included."""
_ENOUGH_TO_JUDGE = 100
_ENOUGH_OF_A_FEW = 10

Ended = Literal["done", "interrupted"]
Progress = Callable[[int], None]
"""Told how many bytes of all the files, as they lie on the disk, are done."""


class Archives(Platforms, Readers, Protocol):
    """What an import asks of the platforms; the package :mod:`connectors` is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of every file: its format, for whom, and what to do with it.

    ``forced`` (a slug) makes everything that one's. ``channel``, ``columns`` and ``dates`` are for tables.
    ``rejects`` is where rejects go; None for a file beside the archive. ``covers`` are the first and last day that
    the archive has whole. ``restart`` begins anew, ``dry_run`` stores nothing.
    """

    format: str = formats.AUTO
    forced: str | None = None
    channel: str = formats.FILE_CHANNEL
    columns: table.Columns = field(default_factory=dict)
    dates: str | None = None
    rejects: Path | None = None
    covers: tuple[date, date] | None = None
    restart: bool = False
    dry_run: bool = False


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What became of one file.

    ``read`` lines were gone over in this run, from line ``begun`` on; ``matched`` mentions were taken, one of two
    organizations once for each; ``counts`` is what they were to the store. ``gone`` had been removed before the
    archive was made. ``rejects`` is the file that tells of the ``rejected``, where one was written.
    """

    file: str
    format: str = ""
    outcome: Ended = "done"
    begun: int = 1
    read: int = 0
    parsed: int = 0
    matched: int = 0
    gone: int = 0
    rejected: int = 0
    counts: PageCounts = field(default_factory=PageCounts)
    rejects: Path | None = None
    seconds: float = 0.0


def import_archives(
    settings: Settings,
    store: MentionStore,
    names: Sequence[str],
    *,
    order: Order | None = None,
    clock: Clock,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    batch: int = BATCH,
    platforms: Archives = installed,
    crew: Crew | None = None,
) -> list[ImportReport]:
    """Import files one after the other; ``names`` may be patterns, and ``-`` is standard input.

    A ``crew`` hears while this process reads ahead and saves; without one this process hears, too.

    Once ``stop`` is set the batch in hand is kept and the rest left for the next import of the same file.

    Raises ``ConfigError`` where a file cannot be read, is not what it is said to be, has changed since a part of
    it was imported, or has hardly a line that can be read; what was kept before stays kept. ``LeaseHeld`` where
    another process imports the same file, and ``StoreError``.
    """
    order = order or Order()
    importer = _Importer(settings, store, order, clock, platforms, stop or threading.Event(), batch, crew)
    chosen = files.expand(names)
    told = order.rejects
    if told is not None and told.exists():
        if any(Path(name).exists() and told.samefile(name) for name in chosen):
            raise ConfigError(
                f"the rejects would be written over {told}, which is to be imported: name another file"
            )
        if order.dry_run:
            raise ConfigError(f"a rehearsal would write over the rejects in {told}: name another file, or move it")
    sizes = [0 if name == files.STANDARD_INPUT else Path(name).stat().st_size for name in chosen]
    progress = progress or _unheard
    reports: list[ImportReport] = []
    for number, name in enumerate(chosen):
        reports.append(importer.run(name, _moved_on(progress, sum(sizes[:number]))))
        progress(sum(sizes[: number + 1]))
        if reports[-1].outcome == "interrupted":
            break
    return reports


def _unheard(_done: int) -> None:
    """Stand in where nobody wants to be told."""


def _moved_on(progress: Progress, before: int) -> Progress:
    def tell(taken: int) -> None:
        progress(before + taken)

    return tell


class _Importer:
    """One call of :func:`import_archives`: what all its files share."""

    def __init__(
        self,
        settings: Settings,
        store: MentionStore,
        order: Order,
        clock: Clock,
        platforms: Archives,
        stop: threading.Event,
        batch: int,
        crew: Crew | None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._order = order
        self._clock = clock
        self._platforms = platforms
        self._stop = stop
        self._batch = batch
        forced = settings.organization(order.forced) if order.forced is not None else None
        self._organizations = (forced,) if forced else settings.organizations
        if not self._organizations:
            raise ConfigError(f"{settings.origin} names no organization: add an [[organizations]] table")
        taxonomy = Taxonomy.load(settings.topics_file)
        analyzer = analyzer_for(settings, taxonomy)
        self._wanted = Wanted(
            organizations=self._organizations,
            format=order.format,
            forced=forced,
            channel=order.channel,
            columns=order.columns,
            dates=order.dates,
            topics=taxonomy.slugs,
            redact=analyzer.redact,
        )
        if not order.dry_run:
            store.declare(settings.organizations, taxonomy)
        foretold = Foretold(analyzer)
        self._records = Records(
            settings=settings,
            analyzer=foretold if crew else analyzer,
            allows_derived=terms_of(settings, platforms),
            platforms={reader.channel for reader in platforms.archive_readers().values()},
        )
        self._ahead = (
            Ahead(crew, Dictation(taxonomy), self._records, foretold, self._known, _by_desk) if crew else None
        )
        self._foreseen: dict[str, dict[str, str]] = {}
        self._rejected: set[str] = set()

    def run(self, name: str, taken: Callable[[int], None]) -> ImportReport:
        """Import one file, or rehearse it."""
        started = time.monotonic()
        with files.on_disk(name) as path:
            plan = plan_for(path, self._wanted, self._platforms, now=self._clock.now())
            if self._order.covers is not None and plan.format == exported.FORMAT:
                raise ConfigError(
                    f"--covers is for archives of one channel, {name} is our own export: leave it out"
                )
            report = ImportReport(file=name, format=plan.format)
            if self._order.dry_run:
                self._rehearse(path, plan, report, taken)
            else:
                archive = Archive(name, path, self._lead(plan), self._options(name, plan))
                with leases.held(self._store, f"import:{archive.key}", LEASE_TTL, self._clock) as lease:
                    self._import(archive, plan, report, taken, lease)
        report.seconds = time.monotonic() - started
        return report

    def _lead(self, plan: Plan) -> Owner:
        channels = self._channels(plan)
        return self._organizations[0].slug, channels[0] if channels else formats.FILE_CHANNEL

    def _options(self, name: str, plan: Plan) -> dict[str, str]:
        """Return what makes a file the stream it is: where it lies, and what is looked for in it."""
        order = self._order
        asked: list[Any] = [plan.format, order.forced, order.channel, sorted(order.columns.items()), order.dates]
        if order.forced is None:
            asked += [
                [one.slug, one.names, sorted((channel, list(own)) for channel, own in one.own_accounts.items())]
                for one in self._organizations
            ]
        place = "" if name == files.STANDARD_INPUT else str(Path(name).resolve())
        return {"format": plan.format, "place": _digest(place), "asked": _digest(asked)}

    # --- into the store

    def _import(
        self,
        archive: Archive,
        plan: Plan,
        report: ImportReport,
        taken: Callable[[int], None],
        lease: leases.Lease,
    ) -> None:
        begun = self._resumed(archive)
        report.begun = begun.place.line
        lead = archive.desk(self._store, archive.lead)
        name = Path(report.file).name
        # Of an archive of the same name, in another folder, they are of this import.
        since = None if name in self._rejected else begun.place.offset
        with Rejects(self._rejects_path(report.file), report.file, since=since) as rejects:
            try:
                if lead.cursor and begun == Cursor(archive.print):
                    # Begun anew: killed before its first batch is done, it must not count as what it was before.
                    self._move(lead, begun, lease)
                    lead.cursor = begun.to_json()
                if not begun.done:
                    self._read(archive, Shard(archive.path, begun.place), plan, report, rejects, taken, lease)
                if report.outcome == "done":
                    self._finish(archive, plan, begun, lease)
            except BaseException:
                archive.end(self._store, "failed")
                raise
            finally:
                if report.rejected:
                    self._rejected.add(name)
            archive.end(self._store, report.outcome)

    def _read(
        self,
        archive: Archive,
        shard: Shard,
        plan: Plan,
        report: ImportReport,
        rejects: Rejects,
        taken: Callable[[int], None],
        lease: leases.Lease,
    ) -> None:
        for batch in self._batches(shard, plan, report.file, taken):
            _add_up(report, batch)
            # Before anything is written: once another process has the file, its rejects are that one's too.
            lease.renew()
            rejects.write(batch.rejects)
            report.rejects = rejects.path if report.rejected else None
            self._keep(archive, batch, Cursor(archive.print, batch.end), report, lease)
            _judge(report, plan)
            if self._stop.is_set():
                report.outcome = "interrupted"
                return
        _judge(report, plan, finished=True)

    def _batches(self, shard: Shard, plan: Plan, name: str, taken: Callable[[int], None]) -> Iterator[Batch]:
        if self._ahead is None:
            return read_shard(shard, plan, batch=self._batch, taken=taken)
        return self._ahead.read(shard, plan, name=Path(name).name, batch=self._batch, taken=taken)

    def _resumed(self, archive: Archive) -> Cursor:
        """Return where to go on; raises ``ConfigError`` where the file is another than the one that was begun."""
        known = archive.lead_state(self._store).cursor
        if self._order.restart or archive.name == files.STANDARD_INPUT or not known:
            return Cursor(archive.print)
        cursor = Cursor.from_json(known)
        if cursor.print != archive.print:
            raise ConfigError(
                f"{archive.name} has changed since it was imported (it had {cursor.print.size:,} bytes, it has "
                f"{archive.print.size:,}): --restart reads all of it, and stores nothing twice"
            )
        return cursor

    def _keep(
        self, archive: Archive, batch: Batch, cursor: Cursor, report: ImportReport, lease: leases.Lease
    ) -> None:
        """Save a batch: the others' parts of it first, the lead's last, with which the cursor counts."""
        parts = _by_desk(batch)
        for owner in sorted({*parts, archive.lead}, key=lambda owner: owner == archive.lead):
            desk = archive.desk(self._store, owner)
            found = parts.get(owner, [])
            known = self._known(owner, found)
            records = self._records.of(owner, found, known)
            corrected = (
                corrections_in(found, self._wanted.redact) if self._records.allows_derived(owner[1]) else {}
            )
            report.counts = report.counts + self._store.save_page(
                stream_id=desk.stream_id,
                run_id=desk.run_id,
                records=records,
                # What a person said is written after it: until then the batch is not done.
                cursor=desk.cursor if corrected else cursor.to_json(),
                usage=Usage(),
                skipped=len(batch.rejects) if owner == archive.lead else 0,
                fence=lease.fence,
            )
            if corrected:
                self._correct(corrected)
                self._move(desk, cursor, lease)
            desk.cursor = cursor.to_json()

    def _move(self, desk: Desk, cursor: Cursor, lease: leases.Lease, **covered: Any) -> None:
        self._store.save_page(
            stream_id=desk.stream_id,
            run_id=desk.run_id,
            records=(),
            cursor=cursor.to_json(),
            usage=Usage(),
            fence=lease.fence,
            **covered,
        )

    def _finish(self, archive: Archive, plan: Plan, begun: Cursor, lease: leases.Lease) -> None:
        """Note that all of it has been read, and what time it covers."""
        covers = self._order.covers
        if covers is not None:
            for owner in [(one.slug, channel) for channel in self._channels(plan) for one in self._organizations]:
                desk = archive.desk(self._store, owner)
                zone = self._settings.organization(owner[0]).zone
                read = desk.coverage.add(*table.day_span(*covers, zone))
                days = changed_days(desk.coverage, read, zone)
                at = Cursor.from_json(desk.cursor) if desk.cursor else begun
                self._move(desk, at, lease, coverage=read, coverage_days=days)
        lead = archive.desk(self._store, archive.lead)
        at = Cursor.from_json(lead.cursor) if lead.cursor else begun
        self._move(lead, replace(at, done=True), lease)

    def _channels(self, plan: Plan) -> tuple[str, ...]:
        """Return the channels that are known before anything is read: an export of ours may have any."""
        if plan.format == exported.FORMAT:
            return ()
        if plan.format == formats.TABLE:
            return (self._order.channel,)
        return (self._platforms.archive_readers()[plan.format].channel,)

    def _rejects_path(self, name: str) -> Path:
        beside = "stdin" if name == files.STANDARD_INPUT else name
        return self._order.rejects or Path(f"{beside}{files.REJECTS}")

    def _correct(self, corrections: Mapping[tuple[Name, str], Correction]) -> None:
        """Set again what a person had set where the export was made, but for what a person has set here.

        Of another text than is stored nobody has said anything.
        """
        ids = correcting.ids_by_name(self._store, [name for name, _ in corrections])
        kept = kept_of(self._store, list(ids.values()))
        wanted = {
            row: correction
            for name, row in ids.items()
            if not kept[row].corrected
            and (correction := corrections.get((name, kept[row].text_fingerprint)))
            and correction.parts
        }
        if wanted:
            correcting.correct(self._store, wanted, now=self._clock.now())

    # --- nothing into the store

    def _rehearse(self, path: str, plan: Plan, report: ImportReport, taken: Callable[[int], None]) -> None:
        """Read all of it and count what it would be to the store, as far as texts tell."""
        with Rejects(self._order.rejects, report.file) as rejects:
            for batch in self._batches(Shard(path), plan, report.file, taken):
                _add_up(report, batch)
                rejects.write(batch.rejects)
                report.rejects = rejects.path if report.rejected else None
                for owner, found in _by_desk(batch).items():
                    report.counts = report.counts + self._forecast(owner, found)
                _judge(report, plan)
                if self._stop.is_set():
                    report.outcome = "interrupted"
                    return
        _judge(report, plan, finished=True)

    def _forecast(self, owner: Owner, found: Sequence[Found]) -> PageCounts:
        foreseen = self._foreseen.setdefault(owner[1], {})
        ids = [one.mention.external_id for one in found]
        known = self._known(owner, found) | {one: foreseen[one] for one in ids if one in foreseen}
        records = self._records.of(owner, found, known)
        for record in records:
            foreseen[record.mention.external_id] = text_fingerprint(record.mention.text)
        return forecast(records, known)

    def _known(self, owner: Owner, found: Sequence[Found]) -> dict[str, str]:
        return self._store.known(owner[1], [one.mention.external_id for one in found])


def _by_desk(batch: Batch) -> dict[Owner, list[Found]]:
    parts: dict[Owner, list[Found]] = {}
    for item in batch.items:
        for slug in item.organizations:
            parts.setdefault((slug, item.found.mention.channel), []).append(item.found)
    return parts


def _add_up(report: ImportReport, batch: Batch) -> None:
    report.read += batch.lines
    report.parsed += batch.parsed
    report.matched += sum(len(item.organizations) for item in batch.items)
    report.gone += batch.gone
    report.rejected += len(batch.rejects)


def _judge(report: ImportReport, plan: Plan, *, finished: bool = False) -> None:
    """Raise ``ConfigError`` where most of what was parsed, or everything, could not be read."""
    is_most = report.rejected >= _ENOUGH_TO_JUDGE and 2 * report.rejected > report.parsed
    # Of a dump only a few lines are parsed: that one of them is broken says nothing of the others.
    least = 1 if plan.sieve is None else _ENOUGH_OF_A_FEW
    is_all = finished and report.begun == 1 and least <= report.rejected == report.parsed
    if is_most or is_all:
        told = f"; {report.rejects} tells why" if report.rejects else ""
        raise ConfigError(
            f"{report.file}: {report.rejected:,} of the {report.parsed:,} things that were looked at cannot be "
            f"read as {report.format}{told}: say with --as what the file is"
        )


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
