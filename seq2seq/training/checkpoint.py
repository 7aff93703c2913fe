"""Everything a run needs to go on, written aside and renamed: safetensors and JSON, no pickle."""

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from seq2seq.config import from_table
from seq2seq.errors import Seq2SeqError
from seq2seq.files import replace_folder, sync

_TENSORS, _STATE = "tensors.safetensors", "state.json"


@dataclass
class Position:
    """Where a run stands. All counts are of what is done."""

    epoch: int = 0  # whole epochs
    batch: int = 0  # batches of the present epoch
    step: int = 0  # optimizer steps of the whole run
    metrics_bytes: int = 0  # length of metrics.jsonl
    best_bleu: float = -1.0
    best_nll: float = 0.0
    validations_since_best: int = 0
    window_loss: float = 0.0  # sums since the last row of metrics.jsonl
    window_nll: float = 0.0
    window_tokens: int = 0
    window_padding: int = 0
    window_positions: int = 0
    finished: bool = False
    corpus: str = ""  # fingerprint of the training and validation text
    arithmetic: str = ""  # device, precision and threads: results are the same to the byte on these


def save_checkpoint(folder: Path, position: Position, tensors: Mapping[str, Tensor]) -> Path:
    """Write `folder/step-N`; it appears whole or not at all."""
    target = folder / f"step-{position.step:08d}"
    aside = folder / f"{target.name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_tensors(aside / _TENSORS, tensors)
    text = json.dumps(dataclasses.asdict(position), indent=1)
    (aside / _STATE).write_text(text, encoding="utf-8")
    sync(aside / _STATE)
    sync(aside)
    replace_folder(aside, target)
    return target


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint."""
    return max(folder.glob("step-????????"), default=None)


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what a killed run left half-written."""
    for path in sorted(folder.glob("step-????????"))[:-keep]:
        shutil.rmtree(path)
    for leftover in (*folder.glob("*.partial"), *folder.glob("*.old")):
        shutil.rmtree(leftover)


def load_checkpoint(path: Path) -> tuple[Position, dict[str, Tensor]]:
    """Read what `save_checkpoint` wrote; raises `Seq2SeqError` naming the file at fault."""
    state = path / _STATE
    try:
        position = from_table(Position, json.loads(state.read_text(encoding="utf-8")))
    except (OSError, ValueError, Seq2SeqError) as error:
        raise Seq2SeqError(f"{state}: not a checkpoint's state: {error}") from None
    return position, load_tensors(path / _TENSORS)


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write one safetensors file aside, and rename it; raises `Seq2SeqError` where it cannot."""
    aside = path.with_name(f"{path.name}.partial")
    try:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, aside)
    except SafetensorError as error:  # what a full disk comes as
        raise Seq2SeqError(f"{path}: cannot be written: {error}.") from None
    sync(aside)
    os.replace(aside, path)
    sync(path.parent)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read one safetensors file; raises `Seq2SeqError` where it is missing or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise Seq2SeqError(f"{path}: not a whole safetensors file: {error}.") from None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's moments, `NUMBER.NAME` for parameter NUMBER."""
    return {
        f"{number}.{name}": value
        for number, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
