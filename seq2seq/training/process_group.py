"""The processes of one run: each computes a share of every optimizer step, and rank 0 writes.

They are started by `torchrun` or `seq2seq.training.launcher`, and find each other through the
environment variables that these set. Numbers and objects are exchanged by gloo, gradients on GPUs
by NCCL. All ranks take the same decisions, since they decide by sums over all ranks.
"""

import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from seq2seq.errors import Seq2SeqError, UsageError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = timedelta(minutes=10)  # time for a process to answer before it counts as lost
_BUCKET = 8 << 20  # weights to reduce at once
_ROLL_CALL = 10.0  # seconds until a rank that does not report its end counts as lost
_LATE = 1.0  # seconds to wait for the last rank


class LostRankError(Seq2SeqError):
    """Another process of the run has ended or does not answer."""


class ProcessGroup:
    """The ranks of a run, numbered from 0. Without arguments, a single process.

    All ranks must call each method at the same point, except `report` and `cause`. If a rank does
    not, `LostRankError` is raised.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        *,
        local_size: int = 1,
        restarts: int = 0,
        store: "Store | None" = None,
    ) -> None:
        """Take the number of this process, of all processes, and of those on this machine.

        `restarts` is how often `torchrun` has restarted them, `store` is where they meet.
        """
        self.rank, self.size = rank, size
        self.local_size, self.restarts = local_size, restarts
        self._store = store
        self._objects: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and reports to the user."""
        return self.rank == 0

    def join(self) -> None:
        """Meet the other ranks; raise `Seq2SeqError` if they do not come."""
        on_gpu = torch.cuda.is_available()
        try:
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
                store=self._store,
                rank=self.rank,
                world_size=self.size,
                timeout=_PATIENCE,
            )
            self._objects = dist.new_group(backend="gloo", timeout=_PATIENCE) if on_gpu else None
        except RuntimeError:
            self._lose()

    def sum(self, *values: float) -> list[float]:
        """Sum each of the values over all ranks."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        self._reduce(sums, dist.ReduceOp.SUM)
        return sums.tolist()

    def largest(self, number: int) -> int:
        """Return the largest of the ranks' numbers."""
        if self.size == 1:
            return number
        largest = torch.tensor(number)
        self._reduce(largest, dist.ReduceOp.MAX)
        return int(largest)

    def gather(self, value: Result) -> list[Result]:
        """Return the value of each rank, in order of rank."""
        if self.size == 1:
            return [value]
        own = self._padded(pickle.dumps(value))
        parts = [torch.empty_like(own) for _ in range(self.size)]
        try:
            dist.all_gather(parts, own, group=self._objects)
        except RuntimeError:
            self._lose()
        return [pickle.loads(part.numpy().data) for part in parts]

    def from_first(self, make: Callable[[], Result]) -> Result:
        """Call `make` on rank 0 only, and return its result on all ranks."""
        if self.size == 1:
            return make()
        value = make() if self.is_first else None
        data = self._padded(pickle.dumps(value))
        try:
            dist.broadcast(data, 0, group=self._objects)
        except RuntimeError:
            self._lose()
        return pickle.loads(data.numpy().data) if value is None else value

    def share_out(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Call `function` on each item, on one rank each; return all results in order."""
        return self.interleave([function(item) for item in items[self.rank :: self.size]])

    def interleave(self, results: list[Result]) -> list[Result]:
        """Merge the ranks' results; rank r has those of items r, r + size, r + 2 size..."""
        parts = self.gather(results)
        count = sum(map(len, parts))
        return [parts[place % self.size][place // self.size] for place in range(count)]

    def require_same(self, facts: Mapping[str, Any]) -> None:
        """Raise `UsageError` if a rank differs from rank 0 in one of the facts."""
        first, *others = self.gather(dict(facts))
        for rank, theirs in enumerate(others, 1):
            for name in first | theirs:
                if theirs.get(name) != first.get(name):
                    raise UsageError(
                        f"rank {rank} has {name} = {theirs.get(name)!r}, but rank 0 has "
                        f"{first.get(name)!r}; start all processes with the same command and files."
                    )

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter], weight: float) -> None:
        """Replace gradients by their weighted mean over the ranks; the weights must sum to 1."""
        if self.size == 1:
            return
        for bucket in _buckets(parameters):
            for parameter in bucket:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
            flat = torch.cat([gradient.flatten() for gradient in gradients]).mul_(weight)
            try:
                dist.all_reduce(flat)
            except RuntimeError:
                self._lose()
            sizes = [gradient.numel() for gradient in gradients]
            for gradient, mean in zip(gradients, torch.split(flat, sizes), strict=True):
                gradient.copy_(mean.view_as(gradient))

    def _reduce(self, values: Tensor, operation: Any) -> None:
        try:
            dist.all_reduce(values, operation, group=self._objects)
        except RuntimeError:
            self._lose()

    def _padded(self, data: bytes) -> Tensor:
        """Return a pickle as bytes, padded to the same length on each rank (harmless to pickle)."""
        return torch.frombuffer(bytearray(data.ljust(self.largest(len(data)))), dtype=torch.uint8)

    def _lose(self) -> NoReturn:
        self.report("")
        raise LostRankError("") from None

    def report(self, reason: str) -> None:
        """Tell the others why this rank ends; "" if it ends because of them."""
        if self._store is not None:
            with suppress(RuntimeError):  # the process with the store is gone
                self._store.set(f"ended/{self.rank}", reason)

    def cause(self, own: Seq2SeqError) -> str:
        """On one rank, return a message that says why the run ended; on the others, return "".

        The message is the error of the lowest rank that has one, or else names the lost ranks.
        """
        self.report("" if isinstance(own, LostRankError) else str(own))
        reasons = self._call_roll()
        if self.rank != min(reasons):
            return ""
        errors = {rank: reason for rank, reason in reasons.items() if reason}
        if errors:
            rank = min(errors)
            shared = len(errors) == self.size and len({*errors.values()}) == 1
            return errors[rank] if shared else f"rank {rank}: {errors[rank]}"
        lost = [str(rank) for rank in range(self.size) if rank not in reasons]
        which = f"rank {lost[0]}" if len(lost) == 1 else f"one of the ranks {', '.join(lost)}"
        return f"{which or 'a rank'} has ended, or does not answer. {own}".strip()

    def _call_roll(self) -> dict[int, str]:
        """Collect the reasons of all ranks that report their end within some seconds."""
        reasons = self._reported()
        deadline = time.monotonic() + _ROLL_CALL
        while len(reasons) < self.size and time.monotonic() < deadline:
            time.sleep(0.05)
            count, reasons = len(reasons), self._reported()
            if count < len(reasons) == self.size - 1:  # the missing one is probably lost
                deadline = time.monotonic() + _LATE
        return reasons

    def _reported(self) -> dict[int, str]:
        reasons = {self.rank: ""}
        with suppress(RuntimeError):  # the process with the store is gone
            for rank in range(self.size):
                if self._store is not None and self._store.check([f"ended/{rank}"]):
                    reasons[rank] = self._store.get(f"ended/{rank}").decode()
        return reasons


ALONE = ProcessGroup()


@contextmanager
def process_group() -> Iterator[ProcessGroup]:
    """Join the processes of the run, if `torchrun` or a launcher started this process.

    An error in one of them ends all, and one reports it. Raises `Seq2SeqError`.
    """
    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0)
    if int(os.environ.get("WORLD_SIZE") or 1) == 1:
        yield ProcessGroup(restarts=restarts)
        return
    group = _group_of_environment(restarts)
    try:
        group.join()
        yield group
    except Seq2SeqError as error:
        _leave()
        reason = group.cause(error)
        if not reason:
            raise SystemExit(error.exit_code) from None
        raise type(error)(reason) from None
    finally:
        _leave()


def _group_of_environment(restarts: int) -> ProcessGroup:
    """Read this process's number, and connect to the store where all processes meet."""
    # Imported here, since builds of torch without it can still train in one process.
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    environment = os.environ
    rank, size = int(environment.get("RANK", 0)), int(environment["WORLD_SIZE"])
    local_rank = int(environment.get("LOCAL_RANK", 0))
    where = f"{environment.get('MASTER_ADDR')}:{environment.get('MASTER_PORT')}"
    if torch.cuda.is_available():
        if local_rank >= torch.cuda.device_count():
            raise UsageError(
                f"rank {rank}: there is no GPU number {local_rank} on this machine, which has "
                f"{torch.cuda.device_count()}; start as many processes as there are GPUs."
            )
        torch.cuda.set_device(local_rank)
    try:
        store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
    except (RuntimeError, ValueError) as error:
        reason = "the port is in use" if "EADDRINUSE" in str(error) else "the ranks do not meet"
        raise Seq2SeqError(
            f"rank {rank}: {reason}: {where}; choose another with --master-port of torchrun, or "
            "MASTER_ADDR and MASTER_PORT."
        ) from None
    return ProcessGroup(
        rank,
        size,
        local_size=int(environment.get("LOCAL_WORLD_SIZE", 1)),
        restarts=restarts,
        store=PrefixStore(f"seq2seq/{restarts}", store),
    )


def _leave() -> None:
    """Close the connections, which wakes up others that wait."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _buckets(parameters: Iterable[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    """Divide the parameters into lists of at most `_BUCKET` weights; a larger one is alone."""
    bucket, size = list[torch.nn.Parameter](), 0
    for parameter in parameters:
        if bucket and size + parameter.numel() > _BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket
