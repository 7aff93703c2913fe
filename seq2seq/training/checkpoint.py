"""Everything a run needs to go on, written aside and renamed: safetensors and JSON, no pickle.

A checkpoint is a folder `step-N`:

- `tensors.safetensors`: weights, their average, the optimizer's moments, random numbers;
- `best.safetensors`: the best averaged weights so far, where there are any. It is the file of the
  checkpoint before under another name, where the disk can do that, and takes no room;
- `state.json`: the `Position`;
- `SHA256SUMS`: the digests of these, as `sha256sum -c` reads them.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import digest, link_file, replace_folder, sync, write_file
from seq2seq.tables import from_table
from seq2seq.training.position import Position

_TENSORS, _BEST, _STATE = "tensors.safetensors", "best.safetensors", "state.json"
_SUMS = "SHA256SUMS"


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
    aside = folder / f"{target.name}.partial"
    state = json.dumps(dataclasses.asdict(position), indent=1)
    files = {_TENSORS: _to_bytes(tensors), _STATE: state.encode()}
    if isinstance(best, Mapping):
        files[_BEST] = _to_bytes(best)
    digests = {name: digest(data) for name, data in files.items()}
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for name, data in files.items():
            write_file(aside / name, data)
        if isinstance(best, Path):
            link_file(best, aside / _BEST)
            digests[_BEST] = digest((aside / _BEST).read_bytes())
        sums = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
        write_file(aside / _SUMS, sums.encode())
        replace_folder(aside, target)
        sync(folder.parent)  # `folder` may be new in there
    except OSError as error:
        raise WriteError(target, error) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def publish_best(checkpoint: Path, best: Path) -> None:
    """Let `best` be the best weights as they were at `checkpoint`; raises `WriteError`."""
    try:
        if (checkpoint / _BEST).exists():
            link_file(checkpoint / _BEST, best)
        else:
            best.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(best, error) from None


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints, the newest last."""
    return sorted(folder.glob("step-????????"))


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
            remove_checkpoint(path)


def remove_checkpoint(path: Path) -> None:
    """It goes as a whole."""
    gone = path.with_name(f"{path.name}.partial")
    shutil.rmtree(gone, ignore_errors=True)
    path.rename(gone)
    shutil.rmtree(gone)


def clean_checkpoints(folder: Path) -> None:
    """Remove what a killed run left half written or half removed."""
    for old in folder.glob("*.old"):
        target = old.with_suffix("")
        if target.exists():
            shutil.rmtree(old)
        else:  # killed in the middle of replacing it
            old.rename(target)
    for leftover in folder.glob("*.partial"):
        shutil.rmtree(leftover)


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
    file = path / _SUMS
    try:
        lines = [line.split("  ") for line in file.read_text(encoding="utf-8").splitlines()]
        digests = {name: value for value, name in lines}
        for name in (_TENSORS, _STATE, *(digests.keys() & {_BEST})):
            file = path / name
            data[name] = file.read_bytes()
            if digest(data[name]) != digests.get(name):
                raise ValueError("it is not as it was written, by its SHA-256")
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


def load_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read one safetensors file: what it holds, and its SHA-256.

    Raises `Seq2SeqError` where it is missing or damaged.
    """
    try:
        data = path.read_bytes()
        return safetensors.torch.load(data), digest(data)
    except OSError as error:
        reason = error.strerror
    except SafetensorError as error:
        reason = str(error)
    raise Seq2SeqError(f"{path}: not a whole safetensors file: {reason}.")


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
