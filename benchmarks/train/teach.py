"""``python -m benchmarks.train.teach --data FOLDER --model FOLDER``: asks a teacher about unlabelled comments.

A small transformer is fine-tuned to the patients' labelled feedback, and says how probable each sentiment is of
the comments that nobody labelled. The linear model of sentiment learns from both: it alone is shipped. To judge it
honestly there is a teacher for each fold, who has not seen that fold, and one who has seen all.

Needs ``pip install torch transformers`` (2.13 and 5.24 were used), and a folder with a sentence encoder:
sentence-transformers' all-MiniLM-L6-v2 (Apache-2.0; config.json, tokenizer.json, and model.safetensors of SHA-256
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db) was used. Some ten minutes a teacher on one core.
What was said lies in benchmarks/train/taught, without the texts: training needs nothing of this.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.metrics import f1_score, recall_score
from transformers import AutoModel, AutoTokenizer

from benchmarks.measure import progress
from benchmarks.train import data
from benchmarks.train.data import COMMENTS, FOLDS, SENTIMENTS
from listener.signals.taxonomy import Taxonomy

Floats = npt.NDArray[np.float64]

_PASSES = 4
_BATCH = 32
_ALIKE = 512
"""Of so many texts batches are made by their lengths, so that little is padded."""
_LONGEST = 128
_RATE, _RATE_OF_HEAD = 6e-5, 1e-3
_WARM_UP = 0.1
_RARITY = 0.7
"""How far a rare sentiment weighs more: 1 would make all three weigh the same."""


class Teacher(torch.nn.Module):
    """A sentence encoder whose words' mean is read by one layer."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.encoder = AutoModel.from_pretrained(folder)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, len(SENTIMENTS))

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return texts by sentiments, as scores."""
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
        )
        words = self.encoder(**tokens).last_hidden_state
        there = tokens["attention_mask"][..., None]
        scores: torch.Tensor = self.head((words * there).sum(1) / there.sum(1))
        return scores

    def learn(self, texts: npt.NDArray[Any], answers: npt.NDArray[np.intp], seed: int) -> None:
        """Fine-tune all of it."""
        chance = np.random.default_rng(seed)
        rarity = (
            torch.tensor(len(answers) / np.bincount(answers) / len(SENTIMENTS), dtype=torch.float32) ** _RARITY
        )
        groups = [
            {"params": self.encoder.parameters(), "lr": _RATE},
            {"params": self.head.parameters(), "lr": _RATE_OF_HEAD},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        steps = _PASSES * -(-len(texts) // _BATCH)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (step + 1) / (_WARM_UP * steps)) * max(0.0, 1 - step / steps)
        )
        self.train()
        for _ in range(_PASSES):
            for batch in _batches(texts, chance):
                loss = torch.nn.functional.cross_entropy(
                    self(texts[batch]), torch.tensor(answers[batch]), weight=rarity
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()

    def say(self, texts: npt.NDArray[Any]) -> Floats:
        """Return how probable each sentiment is: texts by sentiments."""
        self.eval()
        chances = np.zeros((len(texts), len(SENTIMENTS)))
        order = np.argsort([len(text) for text in texts], kind="stable")
        with torch.no_grad():
            for start in range(0, len(order), _BATCH):
                batch = order[start : start + _BATCH]
                chances[batch] = torch.softmax(self(texts[batch]), 1).numpy()
        return chances


def _batches(texts: npt.NDArray[Any], chance: np.random.Generator) -> list[npt.NDArray[np.intp]]:
    order = chance.permutation(len(texts))
    batches = []
    for start in range(0, len(order), _ALIKE):
        some = order[start : start + _ALIKE]
        some = some[np.argsort([len(text) for text in texts[some]], kind="stable")]
        batches += [some[at : at + _BATCH] for at in range(0, len(some), _BATCH)]
    return [batches[number] for number in chance.permutation(len(batches))]


def teach(every: pd.DataFrame, model: Path, fold: int | None) -> None:
    """Make the teacher who has not seen ``fold``, and keep what it says of the comments."""
    torch.manual_seed(0)
    known = ((every["domain"] == "feedback") & every["sentiment"].notna()).to_numpy()
    unseen = known & (every["fold"] == fold).to_numpy()
    texts = every["text"].to_numpy(dtype=object)
    answers = np.array([SENTIMENTS.index(one) for one in every["sentiment"][known]])
    teacher = Teacher(model)
    teacher.learn(texts[known & ~unseen], answers[~unseen[known]], seed=0)
    if fold is not None:
        truth, said = answers[unseen[known]], teacher.say(texts[unseen]).argmax(axis=1)
        recall = recall_score(truth, said, labels=[SENTIMENTS.index("negative")], average=None)[0]
        progress(
            f"fold {fold}: macro F1 {f1_score(truth, said, average='macro'):.3f}, negative recall {recall:.3f}"
        )
    progress(f"{data.keep_taught(every, fold, teacher.say(texts[every['domain'] == COMMENTS]))} written")


def main() -> None:
    """Make the teachers that are asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train.teach", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where the texts are")
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="where the encoder is")
    parser.add_argument(
        "--fold",
        action="append",
        choices=[*map(str, range(FOLDS)), "all"],
        help="only the teacher who has not seen this fold, or who has seen all; may be repeated",
    )
    asked = parser.parse_args()
    # One thread, or the sums would be made in another order each time.
    torch.set_num_threads(1)
    every = data.load(data.Sources.of(asked.data), Taxonomy.load())
    for name in asked.fold or [*map(str, range(FOLDS)), "all"]:
        teach(every, asked.model, None if name == "all" else int(name))


if __name__ == "__main__":
    main()
