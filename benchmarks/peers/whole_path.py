"""Listener's own whole path without a network: ``python -m benchmarks.peers.whole_path PAGES CONFIG``.

Each page is read from its file, normalised by its connector, heard with every signal and saved, in one process; as
an import does, so many mentions at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import corpus, world
from jobs.archives.reading import BATCH
from jobs.connections import stream_state
from listener.collecting import collect_rarely
from listener.usage import Usage
from storage.bulk import batches
from storage.store import MentionStore


def run(pages: Path, config: Path) -> None:
    """Take every page all the way into the store that the configuration names."""
    settings = world.settings_of(config)
    with MentionStore.open(settings.store.url, clock=world.clock()) as store:
        for channel in corpus.NORMALISE:
            line = world.line(settings, channel)
            store.declare(settings.organizations, line.taxonomy)
            stream = stream_state(store, line.stream)
            run_id = store.begin_run(stream.id, since=None, until=None)
            files = sorted((pages / channel).glob("*.json"))
            for number, some in enumerate(batches(files, BATCH // corpus.PAGE)):
                mentions = [mention for file in some for mention in corpus.read(channel, file)]
                known = store.known(channel, [mention.external_id for mention in mentions])
                store.save_page(
                    stream_id=stream.id,
                    run_id=run_id,
                    records=line.hearing.records(mentions, known),
                    cursor={"at": number},
                    usage=Usage(requests=number + 1),
                )
            store.finish_run(run_id, outcome="done", usage=Usage())


if __name__ == "__main__":
    # As the command does.
    collect_rarely()
    run(*map(Path, sys.argv[1:]))
