"""Writes fitted heads as the files that ``listener.signals`` reads: the same heads give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.train.data import DOMAINS
from benchmarks.train.heads import COUNTED_FROM, LEFT_OUT_TO, PURPOSES, Floats, Head, Sentiments, Topics
from benchmarks.train.space import Space

_KINDS = {"word": 0, "piece": 1, "cue": 2}
_STEPS = 127
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(
    folder: Path,
    space: Space,
    lexicon: dict[str, int],
    topics: Topics,
    purposes: tuple[Head, float],
    sentiments: tuple[Sentiments, float],
    *,
    version: str,
) -> None:
    """Write the three files."""
    purpose, temperature = purposes
    tones, tone_temperature = sentiments
    parts = [topics.head, purpose, tones.gate, *(tones.experts[domain] for domain in DOMAINS)]
    head = Head(np.hstack([part.weights for part in parts]), np.hstack([part.bias for part in parts]))
    arrays: dict[str, npt.NDArray[Any]] = {
        "weight": space.weights.astype(np.float32),
        "kind": np.array([_KINDS[kind] for kind in space.kinds], np.uint8),
        **_small(head),
    }
    document = {
        "features": space.names,
        "lexicon": lexicon,
        "purposes": {
            "labels": list(PURPOSES),
            "temperature": round(temperature, 6),
            "counted_from": COUNTED_FROM,
            "left_out_to": LEFT_OUT_TO,
        },
        "sentiment": {
            "domains": list(DOMAINS),
            "nudges": np.round(tones.nudges, 4).tolist(),
            "temperature": round(tone_temperature, 6),
        },
        "topics": {
            slug: {
                "slope": round(float(topics.slope[place]), 6),
                "offset": round(float(topics.offset[place]), 6),
                "threshold": round(float(topics.threshold[place]), 4),
            }
            for place, slug in enumerate(topics.slugs)
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "signals.json": (json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n").encode(),
        "signals.npz": _archive(arrays),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    manifest = {"version": version, "sha256": digests}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _small(head: Head) -> dict[str, npt.NDArray[Any]]:
    scale: Floats = np.abs(head.weights).max(axis=0) / _STEPS
    scale[scale == 0] = 1
    return {
        "weights": np.round(head.weights / scale).astype(np.int8),
        "scale": scale.astype(np.float32),
        "bias": head.bias.astype(np.float32),
    }


def _archive(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    """Return an npz archive without a date in it."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            content = io.BytesIO()
            np.lib.format.write_array(content, arrays[name], allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), content.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return into.getvalue()
