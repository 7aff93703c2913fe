"""Everything a run needs to go on, written aside and renamed: safetensors and JSON, no pickle.

A checkpoint is a folder `step-N`:

- `tensors.safetensors`: weights, their moving average, the optimizer's moments, random numbers;
- `best.safetensors`: the best averaged weights so far, where there are any. Each checkpoint has a
  copy of its own, so that a bad byte in one leaves the others whole;
- `state.json`: the `TrainState`;
- `SHA256SUMS`: the digests of these, as `sha256sum -c` reads them.
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
    """A file of a run cannot be written: the disk is full, say."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: cannot be written: {error.strerror or error}.")


def save_checkpoint(
    folder: Path,
    state: TrainState,
    tensors: Mapping[str, Tensor],
    best: Mapping[str, Tensor] | Path | None = None,
) -> Path:
    """Write `folder/step-N`, which appears whole or not at all; raises `WriteError`.

    `best` are the best averaged weights, or the file that has them.
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
        sync(folder.parent)  # `folder` may be new in there
    except OSError as error:
        raise WriteError(target, error) from None
    return target


def publish_best(checkpoint: Path, best: Path) -> None:
    """Make `best` the best weights as they were at `checkpoint`; raises `WriteError`."""
    try:
        if (checkpoint / _BEST).exists():
            write_file(best, (checkpoint / _BEST).read_bytes())
        else:
            best.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(best, error) from None


def write_best(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write averaged weights where a run has its best ones; raises `OSError`."""
    write_file(path, _with_digest(_to_bytes(weights)))


def checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints, the newest last."""
    return sorted(folder.glob(f"step-{8 * '[0-9]'}"))


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint."""
    return max(checkpoints(folder), default=None)


def checkpoint_of(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint of a step."""
    return folder / f"step-{step:08d}"


def step_of(checkpoint: Path) -> int:
    """Return the step that a checkpoint was saved after."""
    return int(checkpoint.name.removeprefix("step-"))


def prune_checkpoints(folder: Path, keep: int, stable_step: int) -> None:
    """Remove all but the newest `keep` checkpoints and that of `stable_step`."""
    for path in checkpoints(folder)[:-keep]:
        if step_of(path) != stable_step:
            remove_folder(path)


def remove_checkpoints_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps, the newest first."""
    for path in reversed(checkpoints(folder)):
        if step_of(path) > step:
            remove_folder(path)


def load_checkpoint(path: Path) -> tuple[TrainState, dict[str, Tensor]]:
    """Read what `save_checkpoint` wrote; raises `Seq2SeqError` naming the file at fault."""
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
    """Read the files of a checkpoint, and compare their digests."""
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
    """Add a digest of a safetensors file to its metadata.

    So a file that stands alone, and is replaced again and again, cannot lose its digest.
    """
    metadata = {_DIGEST: _digests(data)[0]}
    return safetensors.torch.save(safetensors.torch.load(data), metadata)


def _digests(data: bytes) -> tuple[str, str | None]:
    """Compute the digest of the tensors in a safetensors file; read the one in its metadata."""
    size = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:size])
    metadata = header.pop("__metadata__", {})
    return digest(json.dumps(header, sort_keys=True).encode() + data[size:]), metadata.get(_DIGEST)


def read_best(path: Path) -> bytes:
    """Read the best weights as the bytes of a safetensors file, and compare their digest.

    A file from before there were digests is taken as it is. Raises `Seq2SeqError` if it is
    missing or damaged.
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
    """Read the best weights of a run, and the SHA-256 of their file; raises `Seq2SeqError`."""
    data = read_best(path)
    try:
        return safetensors.torch.load(data), digest(data)
    except SafetensorError as error:
        raise Seq2SeqError(f"{path}: not a whole safetensors file: {error}.") from None
