"""Put `seq2seq serve` under the load of many clients, careless and hostile ones among them.

    python tests/stress/stress_server.py                     # all of it
    python tests/stress/stress_server.py --requests 1000     # less of it

Each part starts a server of its own, as a shell does:

- load: 64 clients at once, texts of one sentence to a hundred lines, with batching and without;
  both must give the same translations, and memory must not grow;
- hostility: requests that are malformed, too large, too slow, too many, each with the answer that
  it must get while others are still translated (slow heads and tiny chunks are a proxy's job);
- fairness: small requests while texts of 50,000 characters are translated, which must not wait for
  these to end;
- stop: SIGTERM under load. Every request that the server has read must be answered, whole, and the
  process end with 0.
"""

import asyncio
import hashlib
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from stress_memory import anonymous_memory, children

from seq2seq.cli.exit import reported_errors
from seq2seq.errors import Seq2SeqError, UsageError

GROWTH = 1.1
"""The most memory in the last tenth of a run, as a multiple of that in the second tenth."""

_WARM = 5000  # requests; in a shorter run all memory is not in use yet after a fifth of it
_SENTENCES = Path(__file__).parents[2] / "data" / "sample" / "test.en"
_SIZES = ([1] * 70, range(2, 6), range(10, 21), [100])  # lines of a text
_SHARES = (70, 20, 9, 1)
_HEAD = "POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_PATIENCE = 600  # seconds; what takes longer is lost
_TRANSLATE_TIMEOUT = 500  # of the server, where a slow machine is not what is tried


class Text(NamedTuple):
    """What a request asks to translate."""

    text: str
    sentences: int


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: str
    body: bytes


@dataclass
class Server:
    """A running one."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def answered(self, status: int = 200) -> int:
        """How many translations it says that it answered so."""
        return self.log.read_text(encoding="utf-8").count(f"POST /translate {status} ")

    def memory(self) -> int:
        """Anonymous memory in bytes, its processes counted: pages of mapped files are not in it."""
        return anonymous_memory(self.process.pid)

    def cpu_seconds(self) -> float:
        """Return the CPU time that it and its processes have used so far."""
        ticks = 0
        for process in (self.process.pid, *children(self.process.pid)):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Load:
    """What came of many requests."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of the server
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    answers: dict[int, str] = field(default_factory=dict)  # by number of the text


@reported_errors("stress_server")
def main(
    requests: Annotated[int, typer.Option(help="Of each run of the load.", min=100)] = 10_000,
    clients: Annotated[int, typer.Option(help="At the same time.", min=2)] = 64,
    model: Annotated[Path | None, typer.Option("-m", "--model", help="A model directory.")] = None,
    threads: Annotated[int, typer.Option(help="Of the server; 0: one a core.", min=0)] = 0,
    option: Annotated[
        list[str] | None, typer.Option(help="One more option of the server, as --option=--quiet.")
    ] = None,
) -> None:
    """Run all parts, print the figures, fail where one is not as it must be."""
    if not Path("/proc/self/status").exists():
        raise UsageError("memory is read from /proc, which only Linux has.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no server is left behind
    arguments = ["--threads", str(threads), *(["-m", str(model)] if model else []), *(option or [])]
    texts = make_texts(requests)
    total = sum(text.sentences for text in texts)
    print(f"{requests:,} requests of {total:,} sentences, {clients} clients\n")
    wrong = [
        *asyncio.run(compare(arguments, texts, clients)),
        *asyncio.run(hostility(arguments, texts)),
        *asyncio.run(fairness(arguments)),
        *asyncio.run(stop(arguments, texts, clients)),
    ]
    if wrong:
        raise Seq2SeqError(f"not as it must be: {'; '.join(wrong)}.")
    print("\nall as it must be")


def make_texts(number: int) -> list[Text]:
    """Make texts of mixed lengths, always the same."""
    choose = random.Random(1)
    sentences = _SENTENCES.read_text(encoding="utf-8").splitlines()
    texts = []
    for sizes in choose.choices(_SIZES, _SHARES, k=number):
        size = choose.choice(sizes)
        texts.append(Text("\n".join(choose.choices(sentences, k=size)), size))
    return texts


async def compare(arguments: Sequence[str], texts: Sequence[Text], clients: int) -> list[str]:
    """Load with batching and without; what is wrong."""
    print(
        "batching  sentences/s  per CPU second  requests/s  p50 ms  p99 ms  errors  "
        "memory MB: start  end  most"
    )
    loads = []
    wrong = []
    for name in ("on", "off"):
        options = [
            "--translate-timeout",
            str(_TRANSLATE_TIMEOUT),
            *(["--no-batching"] * (name == "off")),
        ]
        async with running([*arguments, *options]) as server:
            loads.append(load := await run_load(server, texts, clients))
        centiles = statistics.quantiles(load.latencies, n=100)
        start, end = early_and_late(load.memory)
        total = sum(text.sentences for text in texts)
        print(
            f"{name:<8}  {total / load.seconds:11,.0f}  {total / load.cpu_seconds:14,.0f}  "
            f"{len(texts) / load.seconds:10,.0f}  "
            f"{1000 * centiles[49]:6,.0f}  {1000 * centiles[98]:6,.0f}  "
            f"{load.failures.total():6}  {start / 1e6:16.0f}  {end / 1e6:3.0f}  "
            f"{max(load.memory) / 1e6:4.0f}",
            flush=True,
        )
        if load.failures:
            wrong.append(f"batching {name}: {dict(load.failures)}")
        if len(texts) >= _WARM and end > GROWTH * start:
            wrong.append(f"batching {name}: memory grew {end / start:.2f} times")
    joined, apart = (load.answers for load in loads)
    differ = sum(joined[number] != apart[number] for number in joined.keys() & apart.keys())
    print(f"\ntranslations that differ between the two: {differ}")
    return [*wrong, *([f"{differ} translations differ"] if differ else [])]


def early_and_late(memory: Sequence[int]) -> tuple[float, float]:
    """Return the medians of the fourth tenth, when all workers are warm, and of the last."""
    tenth = max(1, len(memory) // 10)
    early, late = memory[3 * tenth : 4 * tenth] or memory, memory[-tenth:]
    return statistics.median(early), statistics.median(late)


async def run_load(server: Server, texts: Sequence[Text], clients: int) -> Load:
    """Every text once, by clients that ask for the next as soon as they have the last."""
    load = Load()
    coming = iter(enumerate(texts))

    async def client() -> None:
        async with Connection(server.port) as connection:
            for number, text in coming:
                began = time.perf_counter()
                try:
                    answer = await connection.ask(text.text)
                    load.answers[number] = digest(answer)
                except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
                    load.failures[f"{type(error).__name__} {error}"[:80]] += 1
                load.latencies.append(time.perf_counter() - began)

    async def watch() -> None:
        while True:
            load.memory.append(server.memory())
            await asyncio.sleep(0.25)

    watching = asyncio.create_task(watch())
    used = server.cpu_seconds()
    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    load.seconds = time.perf_counter() - began
    load.cpu_seconds = server.cpu_seconds() - used
    watching.cancel()
    return load


def digest(answer: Answer) -> str:
    """Of the translation; raises `ValueError` where there is none."""
    if answer.status != 200:
        raise ValueError(f"status {answer.status} {answer.body[:60]!r}")
    return hashlib.sha256(json.loads(answer.body)["translatedText"].encode()).hexdigest()


async def hostility(arguments: Sequence[str], texts: Sequence[Text]) -> list[str]:
    """Each kind of bad request some times, between good ones; what is wrong."""
    limits = ["--read-timeout", "1", "--max-body", "100000", "--max-connections", "100"]
    limits += ["--translate-timeout", "60"]  # what is long takes half of it on one core
    rounds = 20
    wrong = []
    print("\nbad requests")
    async with running([*arguments, *limits]) as server:
        good = asyncio.create_task(run_load(server, texts[:1000], 8))
        for name, attack, expected in _ATTACKS:
            began = time.perf_counter()
            found = Counter(await asyncio.gather(*(attack(server.port) for _ in range(rounds))))
            seconds = time.perf_counter() - began
            shown = ", ".join(f"{count} x {status or 'closed'}" for status, count in found.items())
            print(f"  {name:<38} {seconds:5.1f} s  {shown}", flush=True)
            if not {*found} <= (expected if isinstance(expected, set) else {expected}):
                wrong.append(f"{name}: {shown}, not {expected}")
        statuses = await crowd(server.port, 150)
        shown = ", ".join(f"{count} x {status or 'closed'}" for status, count in statuses.items())
        print(f"  {'150 connections, 100 allowed':<38} {'':7}  {shown}")
        if not statuses[200] or not statuses[503] or len(statuses) > 2:
            wrong.append(f"150 connections: {shown}")
        load = await good
        print(
            f"  meanwhile {len(load.answers):,} good requests, the longest of "
            f"{max(load.latencies):.1f} s, {load.failures.total()} errors"
        )
        if set(load.failures) - {name for name in load.failures if "503" in name}:
            wrong.append(f"good requests among bad ones: {dict(load.failures)}")
        log = server.log.read_text(encoding="utf-8")
        if "Traceback" in log or server.process.poll() is not None:
            wrong.append("the server failed")
    return wrong


async def crowd(port: int, number: int) -> Counter[int]:
    """Count the statuses that this number of clients get, which all stay connected."""
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]
    found = Counter[int]()
    for reader, writer in opened:
        with suppress(OSError):
            writer.write(request)
        found[await status_of(reader)] += 1
    for _, writer in opened:
        await close(writer)
    return found


async def fairness(arguments: Sequence[str]) -> list[str]:
    """Small requests beside the largest, plain and full of what must not change; what is wrong."""
    wrong = []
    print("\nsmall requests beside a large one")
    options = ["--translate-timeout", str(_TRANSLATE_TIMEOUT)]
    for name, sentence in (("plain", "The house is old. "), ("spans", "Give %s to {name}. ")):
        async with running([*arguments, *options]) as server, Connection(server.port) as large:
            began = time.perf_counter()
            coming = asyncio.create_task(large.ask(sentence * (50_000 // len(sentence))))
            latencies = []
            async with Connection(server.port) as small:
                while not coming.done():
                    asked = time.perf_counter()
                    digest(await small.ask("Where is the station?"))
                    latencies.append(time.perf_counter() - asked)
            digest(await coming)
            seconds = time.perf_counter() - began
        longest = max(latencies)
        print(
            f"  {name:<8} {seconds:5.1f} s, beside it {len(latencies):,} of "
            f"{1000 * statistics.median(latencies):,.0f} ms, at most {1000 * longest:,.0f} ms",
            flush=True,
        )
        if longest > seconds / 2:
            wrong.append(f"a small request waited for {longest:.1f} of {seconds:.1f} seconds")
    return wrong


async def stop(arguments: Sequence[str], texts: Sequence[Text], clients: int) -> list[str]:
    """SIGTERM while all clients ask; what is wrong."""
    wrong = []
    print("\nSIGTERM under load")
    for turn in range(5):
        async with running(arguments) as server:
            coming = cycle(texts)
            received = Counter[str]()

            async def client(
                port: int = server.port, coming: Any = coming, received: Counter[str] = received
            ) -> None:
                async with Connection(port) as connection:
                    for text in coming:
                        try:
                            digest(await connection.ask(text.text))
                            received["answered"] += 1
                        except asyncio.IncompleteReadError as error:
                            received["cut off" if error.partial else "not accepted"] += 1
                            return
                        except (OSError, TimeoutError, ValueError):
                            received["not accepted"] += 1
                            return

            asking = asyncio.gather(*(client() for _ in range(clients)))
            await asyncio.sleep(3)
            server.process.send_signal(signal.SIGTERM)
            await asking
            code = await asyncio.to_thread(server.process.wait, _PATIENCE)
            answered = server.answered()
            gone = server.answered(499)
            print(
                f"  {answered} answered by the server, {received['answered']} received, "
                f"{received['cut off']} cut off, {gone} given up; clients that came too late: "
                f"{received['not accepted']}; exit code {code}"
            )
            if answered != received["answered"] or received["cut off"] or gone or code:
                wrong.append(f"SIGTERM, turn {turn}: an accepted request was lost")
    return wrong


class Connection:
    """A client that keeps its connection as long as the server does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def ask(self, text: str) -> Answer:
        """Translate it from English to German."""
        body = json.dumps({"q": text, "source": "en", "target": "de"}).encode()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(f"{_HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            async with asyncio.timeout(_PATIENCE):
                answer = await read_answer(reader)
        except BaseException:
            await self._close()
            raise
        if "connection: close" in answer.headers:
            await self._close()
        return answer

    async def _close(self) -> None:
        if self._streams:
            await close(self._streams[1])
            self._streams = None


async def close(writer: asyncio.StreamWriter) -> None:
    """Whatever the other side has done."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """One answer, whole; raises `asyncio.IncompleteReadError`."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = re.search(r"content-length: (\d+)", head)
    body = await reader.readexactly(int(length[1])) if length else await reader.read()
    return Answer(int(head.split()[1]), head, body)


async def status_of(reader: asyncio.StreamReader) -> int:
    """Of the next answer; 0 where the server closed without one."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return (await read_answer(reader)).status
    except (OSError, asyncio.IncompleteReadError):
        return 0


def sending(data: bytes, then: bytes = b"", pause: float = 0.0) -> Callable[[int], Awaitable[int]]:
    """Return a client that sends `data`, then `then` again and again, and returns the status."""

    async def attack(port: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def go_on() -> None:
            with suppress(OSError):
                while then:
                    await asyncio.sleep(pause)
                    writer.write(then)
                    await writer.drain()

        writer.write(data)
        more = asyncio.create_task(go_on())
        status = await status_of(reader)
        more.cancel()
        await close(writer)
        return status

    return attack


def with_body(body: bytes, kind: str = "application/json") -> bytes:
    """Return a whole request."""
    head = _HEAD.replace("application/json", kind)
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def asking(**fields: Any) -> bytes:
    """Return a whole request in JSON; by default it is a single word."""
    return with_body(json.dumps({"q": "one", "source": "en", "target": "de", **fields}).encode())


_ATTACKS: list[tuple[str, Callable[[int], Awaitable[int]], int | set[int]]] = [
    ("no HTTP", sending(b"\x16\x03\x01\x02\0\x01\0\r\n\r\n"), 400),
    ("no JSON", sending(with_body(b"{")), 400),
    ("JSON of 50,000 brackets", sending(with_body(b"[" * 50_000)), 400),
    ("not UTF-8", sending(with_body(b'{"q":"\xff"}')), 400),
    (
        "a form that breaks off",
        sending(with_body(b"--x\r\n", "multipart/form-data; boundary=x")),
        400,
    ),
    ("a number for a text", sending(asking(q=1)), 400),
    ("half a surrogate pair", sending(asking(q="\ud800 one")), 200),
    ("an unknown language", sending(asking(target="xx")), 400),
    ("50,001 characters", sending(asking(q="a" * 50_001)), 400),
    ("1,001 texts", sending(asking(q=["a"] * 1001)), 400),
    ("hostile HTML", sending(asking(q="<a/" * 3000, format="html")), 200),
    ("40,000 tildes", sending(asking(q="~" * 40_000 + "x")), 200),
    ("40,000 backticks", sending(asking(q="`" * 40_000 + "x")), 200),
    ("5,000 tags without end", sending(asking(q='<a b="' * 5000)), {200, 503}),  # long to search
    ("5,000 tags without end, as HTML", sending(asking(q='<a b="' * 5000, format="html")), 200),
    (
        "a body of a gigabyte, announced",
        sending(f"{_HEAD}Content-Length: {1 << 30}\r\n\r\n".encode()),
        413,
    ),
    (
        "a body without end, in chunks",
        sending(
            f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode(),
            b"1000\r\n" + b"x" * 0x1000 + b"\r\n",
        ),
        413,
    ),
    ("a head without end", sending(b"GET / HTTP/1.1\r\nX: ", b"x" * 10_000), {400, 0}),
    ("33,000 lists", sending(with_body(b"[" + b"[]," * 33_000 + b"[]]")), 400),
    (
        "a body byte by byte",
        sending(f"{_HEAD}Content-Length: 9999\r\n\r\n".encode(), b"x", 0.05),
        408,
    ),
]


@asynccontextmanager
async def running(arguments: Sequence[str]) -> AsyncIterator[Server]:
    """Run a server with these options."""
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "seq2seq.cli.main", "serve", "--port", "0", *arguments]
        with log.open("ab") as sink:
            process = subprocess.Popen(command, stderr=sink, env=os.environ)
        try:
            server = Server(process, await port_of(process, log), log)
            async with Connection(server.port) as connection:
                digest(await connection.ask("Good morning!"))  # all is loaded now
            while not server.answered():  # it is logged after it is sent
                await asyncio.sleep(0.01)
            log.write_bytes(b"")
            yield server
        finally:
            process.kill()
            process.wait()


async def port_of(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """When it is ready; raises `Seq2SeqError` where it ends instead."""
    while True:
        text = log.read_text(encoding="utf-8")
        if found := re.search(r":(\d+) is ready", text):
            return int(found[1])
        if process.poll() is not None:
            raise Seq2SeqError(f"the server did not start: {text.strip()}")
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    typer.run(main)
