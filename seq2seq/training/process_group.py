"""The processes of one run: each computes a share of every optimizer step, and rank 0 writes.

`torchrun` starts them, or `seq2seq.training.launcher`; they find each other by the environment
that either sets. Numbers and objects travel by gloo, the gradients of GPUs by NCCL. All ranks take
the same decisions, since they decide by sums over all of them.
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

_PATIENCE = timedelta(minutes=10)  # with a process that neither answers nor ends
_BUCKET = 8 << 20  # parameters that are reduced at once
_ROLL_CALL = 10.0  # seconds until a rank that does not report its end counts as lost
_LATE = 1.0  # seconds for the last one


class LostRankError(Seq2SeqError):
    """Another process of the run has ended, or does not answer."""


class ProcessGroup:
    """The ranks of a run, numbered from 0. Without arguments: a process by itself.

    Every method but `average_gradients` is for all ranks to call at the same point, and raises
    `LostRankError` where one of them does not.
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
        """Take this process's number, and how many there are in all and on this machine.

        `restarts` is how often `torchrun` has restarted them, and `store` is how they met.
        """
        self.rank, self.size = rank, size
        self.local_size, self.restarts = local_size, restarts
        self._store = store
        self._objects: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, and talks to the user."""
        return self.rank == 0

    def join(self) -> None:
        """Meet the others; raises `Seq2SeqError` where they do not come."""
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
        """Return the largest number that a rank has."""
        if self.size == 1:
            return number
        largest = torch.tensor(number)
        self._reduce(largest, dist.ReduceOp.MAX)
        return int(largest)

    def gather(self, value: Result) -> list[Result]:
        """Return the value of each rank, in their order."""
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
        """Return what `make` returns on rank 0, the only one where it is called."""
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
        """Call `function` on every item, on one rank each; all ranks get all results, in order."""
        return self.interleave([function(item) for item in items[self.rank :: self.size]])

    def interleave(self, results: list[Result]) -> list[Result]:
        """Put together what each rank made of every `size`th item, from its own number on."""
        parts = self.gather(results)
        count = sum(map(len, parts))
        return [parts[place % self.size][place // self.size] for place in range(count)]

    def require_same(self, facts: Mapping[str, Any]) -> None:
        """Raise `UsageError` where a rank has another value of a fact than rank 0 has."""
        first, *others = self.gather(dict(facts))
        for rank, theirs in enumerate(others, 1):
            for name in first | theirs:
                if theirs.get(name) != first.get(name):
                    raise UsageError(
                        f"rank {rank} has {name} = {theirs.get(name)!r}, but rank 0 has "
                        f"{first.get(name)!r}; start all processes with the same command and files."
                    )

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter], weight: float) -> None:
        """Replace gradients by their mean over the ranks, each of which has a `weight`; sum: 1."""
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
        """Return a pickle as bytes, as many on each rank; what follows a pickle does not count."""
        return torch.frombuffer(bytearray(data.ljust(self.largest(len(data)))), dtype=torch.uint8)

    def _lose(self) -> NoReturn:
        self.report("")
        raise LostRankError("") from None

    def report(self, reason: str) -> None:
        """Tell the others that this rank ends, and why: empty where they are the reason."""
        if self._store is not None:
            with suppress(RuntimeError):  # the process that had the store is gone
                self._store.set(f"ended/{self.rank}", reason)

    def cause(self, own: Seq2SeqError) -> str:
        """Return why the run ends, on the one rank that is to say it, and "" on the others.

        That is the first error of a rank, or else which ranks are lost.
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
            if count < len(reasons) == self.size - 1:  # the one that is missing is the lost one
                deadline = time.monotonic() + _LATE
        return reasons

    def _reported(self) -> dict[int, str]:
        reasons = {self.rank: ""}
        with suppress(RuntimeError):  # the process that had the store is gone
            for rank in range(self.size):
                if self._store is not None and self._store.check([f"ended/{rank}"]):
                    reasons[rank] = self._store.get(f"ended/{rank}").decode()
        return reasons


ALONE = ProcessGroup()


@contextmanager
def process_group() -> Iterator[ProcessGroup]:
    """Join the processes that were started together, if `torchrun` or a launcher started this one.

    Errors within end all of them, and one says why. Raises `Seq2SeqError`.
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
    """Read who this process is, and connect to the store where all of them meet."""
    # Here: builds of torch that cannot do this train on one process.
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
    """Close the connections, which ends the waiting of the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _buckets(parameters: Iterable[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    """Cut the parameters into lists of some million weights."""
    bucket, size = list[torch.nn.Parameter](), 0
    for parameter in parameters:
        if bucket and size + parameter.numel() > _BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket
