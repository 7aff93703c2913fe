"""Checkpoints: everything a run needs to go on, in safetensors and JSON, without pickles.

A checkpoint is a folder `step-N`, written elsewhere and renamed when complete:

- `tensors.safetensors`: weights, their moving average, the optimizer's moments, random numbers;
- `best.safetensors`: the best averaged weights so far, if any. Each checkpoint has its own copy,
  so that damage to one leaves the others intact;
- `state.json`: the `TrainState`;
- `SHA256SUMS`: the digests of these files, in the format of `sha256sum -c`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

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
from seq2seq.training.state import TrainState

_TENSORS, _BEST, _STATE = "tensors.safetensors", "best.safetensors", "state.json"
SUMS = "SHA256SUMS"
_DIGEST = "sha256"  # in the metadata of best.safetensors
_ALTERED = "it is not as it was written, by its SHA-256"


class WriteError(Seq2SeqError):
    """A file of a run cannot be written, for example because the disk is full."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: cannot be written: {error.strerror or error}.")


def save_checkpoint(
    folder: Path,
    state: TrainState,
    tensors: Mapping[str, Tensor],
    best: Mapping[str, Tensor] | Path | None = None,
) -> Path:
    """Write `folder/step-N`, which appears complete or not at all; raise `WriteError`.

    `best` are the best averaged weights, or a file with them.
    """
    target = checkpoint_of(folder, state.step)
    text = json.dumps(state.to_json(), indent=1)
    files = {_TENSORS: _to_bytes(tensors), _STATE: text.encode()}
    if isinstance(best, Path):
        files[_BEST] = read_best(best)
    elif best is not None:
        files[_BEST] = _with_digest(_to_bytes(best))
    files[SUMS] = checksums(files)
    try:
        with replacing_folder(target) as aside:
            for name, data in files.items():
                write_file(aside / name, data)
        sync(folder.parent)  # `folder` itself may be new
    except OSError as error:
        raise WriteError(target, error) from None
    return target


def publish_best(checkpoint: Path, best: Path) -> None:
    """Restore the file `best` to the best weights as of `checkpoint`; raise `WriteError`."""
    try:
        if (checkpoint / _BEST).exists():
            write_file(best, (checkpoint / _BEST).read_bytes())
        else:
            best.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(best, error) from None


def write_best(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write averaged weights to a run's file of best weights; raise `OSError`."""
    write_file(path, _with_digest(_to_bytes(weights)))


def checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints, the newest last."""
    return sorted(folder.glob(f"step-{8 * '[0-9]'}"))


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint, or None."""
    return max(checkpoints(folder), default=None)


def checkpoint_of(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint for a step."""
    return folder / f"step-{step:08d}"


def step_of(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was saved."""
    return int(checkpoint.name.removeprefix("step-"))


def prune_checkpoints(folder: Path, keep: int, stable_step: int) -> None:
    """Remove all checkpoints but the newest `keep` and that of `stable_step`."""
    for path in checkpoints(folder)[:-keep]:
        if step_of(path) != stable_step:
            remove_folder(path)


def remove_checkpoints_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps, the newest first."""
    for path in reversed(checkpoints(folder)):
        if step_of(path) > step:
            remove_folder(path)


def load_checkpoint(path: Path) -> tuple[TrainState, dict[str, Tensor]]:
    """Read what `save_checkpoint` wrote; raise a `Seq2SeqError` that names the damaged file."""
    data = _read_checked(path)
    try:
        state = TrainState.from_json(json.loads(data[_STATE]))
    except (ValueError, UsageError) as error:
        raise Seq2SeqError(f"{path / _STATE}: not a checkpoint's state: {error}") from None
    try:
        return state, safetensors.torch.load(data[_TENSORS])
    except SafetensorError as error:
        raise Seq2SeqError(f"{path / _TENSORS}: not safetensors: {error}.") from None


def _read_checked(path: Path) -> dict[str, bytes]:
    """Read the files of a checkpoint, and verify their digests."""
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
        earlier = [checkpoint for checkpoint in checkpoints(path.parent) if checkpoint < path]
        where = f"step {step_of(earlier[-1]):,}" if earlier else "the start"
        raise Seq2SeqError(
            f"{file}: damaged: {reason}; remove the folder {path} and resume once more, to go on "
            f"from {where}."
        ) from None
    return data


def _to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    return safetensors.torch.save({k: t.detach().cpu().contiguous() for k, t in tensors.items()})


def _with_digest(data: bytes) -> bytes:
    """Add a digest to the metadata of a safetensors file.

    Since it is in the file itself, it stays with it when the file is replaced.
    """
    metadata = {_DIGEST: _digests(data)[0]}
    return safetensors.torch.save(safetensors.torch.load(data), metadata)


def _digests(data: bytes) -> tuple[str, str | None]:
    """Return the digest of the tensors in a safetensors file, and the one in its metadata."""
    size = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:size])
    metadata = header.pop("__metadata__", {})
    return digest(json.dumps(header, sort_keys=True).encode() + data[size:]), metadata.get(_DIGEST)


def read_best(path: Path) -> bytes:
    """Read the best weights as the bytes of a safetensors file, and verify their digest.

    Older files without a digest are accepted. Raises `Seq2SeqError` if the file is missing or
    damaged.
    """
    try:
        data = path.read_bytes()
        actual, recorded = _digests(data)
        if recorded not in (None, actual):
            raise ValueError(_ALTERED)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Seq2SeqError(
            f"{path}: damaged: {reason}; resume the run (--resume), which brings it back from its "
            "last checkpoint."
        ) from None
    return data


def load_best(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the best weights of a run and the SHA-256 of their file; raise `Seq2SeqError`."""
    data = read_best(path)
    try:
        return safetensors.torch.load(data), digest(data)
    except SafetensorError as error:
        raise Seq2SeqError(f"{path}: not a whole safetensors file: {error}.") from None
