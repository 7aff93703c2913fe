"""Everything a run needs to go on, written aside and renamed: safetensors and JSON, no pickle.

A checkpoint is a folder `step-N`:

- `tensors.safetensors`: weights, their average, the optimizer's moments, random numbers;
- `best.safetensors`: the best averaged weights so far, where there are any. Each checkpoint has a
  copy of its own, so that a bad byte in one leaves the others whole;
- `state.json`: the `Position`;
- `SHA256SUMS`: the digests of these, as `sha256sum -c` reads them.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from seq2seq.config.parse import from_table
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import (
    checksums,
    digest,
    read_checksums,
    remove_folder,
    replacing_folder,
    sync,
    write_file,
)
from seq2seq.training.state import Position

_TENSORS, _BEST, _STATE = "tensors.safetensors", "best.safetensors", "state.json"
SUMS = "SHA256SUMS"
_DIGEST = "sha256"  # in the metadata of best.safetensors
_ALTERED = "it is not as it was written, by its SHA-256"


class WriteError(Seq2SeqError):
    """A file of a run cannot be written: the disk is full, say."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: cannot be written: {error.strerror or error}.")


def save_checkpoint(
    folder: Path,
    position: Position,
    tensors: Mapping[str, Tensor],
    best: Mapping[str, Tensor] | Path | None = None,
) -> Path:
    """Write `folder/step-N`; it appears whole or not at all. Raises `WriteError`.

    `best` are the best averaged weights, or the file that has them.
    """
    target = folder / f"step-{position.step:08d}"
    state = json.dumps(dataclasses.asdict(position), indent=1)
    files = {_TENSORS: _to_bytes(tensors), _STATE: state.encode()}
    if isinstance(best, Path):
        files[_BEST] = read_best(best)
    elif best is not None:
        files[_BEST] = _with_digest(_to_bytes(best))
    files[SUMS] = checksums(files)
    try:
        with replacing_folder(target) as aside:
            for name, data in files.items():
                write_file(aside / name, data)
        sync(folder.parent)  # `folder` may be new in there
    except OSError as error:
        raise WriteError(target, error) from None
    return target


def publish_best(checkpoint: Path, best: Path) -> None:
    """Let `best` be the best weights as they were at `checkpoint`; raises `WriteError`."""
    try:
        if (checkpoint / _BEST).exists():
            write_file(best, (checkpoint / _BEST).read_bytes())
        else:
            best.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(best, error) from None


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints, the newest last."""
    return sorted(folder.glob(f"step-{8 * '[0-9]'}"))


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint."""
    return max(checkpoints(folder), default=None)


def step_of(checkpoint: Path) -> int:
    """The step that it was saved after."""
    return int(checkpoint.name.removeprefix("step-"))


def prune_checkpoints(folder: Path, keep: int, good_step: int) -> None:
    """Remove all but the newest `keep` checkpoints and that of `good_step`."""
    for path in checkpoints(folder)[:-keep]:
        if step_of(path) != good_step:
            remove_folder(path)


def load_checkpoint(path: Path) -> tuple[Position, dict[str, Tensor]]:
    """Read what `save_checkpoint` wrote; raises `Seq2SeqError` naming the file at fault."""
    data = _read_checked(path)
    try:
        position = from_table(Position, json.loads(data[_STATE]))
    except (ValueError, UsageError) as error:
        raise Seq2SeqError(f"{path / _STATE}: not a checkpoint's state: {error}") from None
    try:
        return position, safetensors.torch.load(data[_TENSORS])
    except SafetensorError as error:
        raise Seq2SeqError(f"{path / _TENSORS}: not safetensors: {error}.") from None


def _read_checked(path: Path) -> dict[str, bytes]:
    """The files of a checkpoint, each as it was written."""
    data = {}
    file = path / SUMS
    try:
        digests = read_checksums(file)
        for name in (_TENSORS, _STATE, *(digests.keys() & {_BEST})):
            file = path / name
            data[name] = file.read_bytes()
            if digest(data[name]) != digests.get(name):
                raise ValueError(_ALTERED)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        earlier = [one for one in checkpoints(path.parent) if one < path]
        where = f"step {step_of(earlier[-1]):,}" if earlier else "the start"
        raise Seq2SeqError(
            f"{file}: damaged: {reason}; remove the folder {path} and resume once more, to go on "
            f"from {where}."
        ) from None
    return data


def _to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    return safetensors.torch.save({k: t.detach().cpu().contiguous() for k, t in tensors.items()})


def _with_digest(data: bytes) -> bytes:
    """The same safetensors file with a digest of itself in its metadata.

    So a file that stands alone, and is replaced again and again, cannot lose its digest.
    """
    metadata = {_DIGEST: _digests(data)[0]}
    return safetensors.torch.save(safetensors.torch.load(data), metadata)


def _digests(data: bytes) -> tuple[str, str | None]:
    """The digest of the tensors in a safetensors file, and the one that its metadata have."""
    size = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:size])
    metadata = header.pop("__metadata__", {})
    return digest(json.dumps(header, sort_keys=True).encode() + data[size:]), metadata.get(_DIGEST)


def read_best(path: Path) -> bytes:
    """The best weights, as a file of safetensors that is as it was written.

    One from before files had digests is taken as it is. Raises `Seq2SeqError` where it is missing
    or damaged.
    """
    try:
        data = path.read_bytes()
        found, written = _digests(data)
        if written not in (None, found):
            raise ValueError(_ALTERED)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Seq2SeqError(
            f"{path}: damaged: {reason}; resume the run (--resume), which brings it back from its "
            "last checkpoint."
        ) from None
    return data


def load_best(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read the best weights of a run, and the SHA-256 of their file; raises `Seq2SeqError`."""
    data = read_best(path)
    try:
        return safetensors.torch.load(data), digest(data)
    except SafetensorError as error:
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
