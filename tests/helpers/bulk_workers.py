"""Which of the processes that `seq2seq bulk` starts translate."""

from contextlib import suppress

import psutil


def bulk_workers(command: int) -> list[psutil.Process]:
    """Return what a process has started, itself or through an engine, and has a model loaded."""
    workers = []
    for process in psutil.Process(command).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if any("onnxruntime" in file.path for file in process.memory_maps()):
                workers.append(process)
    return workers
