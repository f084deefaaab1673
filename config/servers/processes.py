"""Waiting for processes that need not be our children."""

import time

import psutil


def gone(process: psutil.Process, seconds: float) -> bool:
    """Wait until ``process`` has ended, at most for ``seconds``. One that nobody has buried yet has ended, too."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            process.wait(0)  # buries a child of our own
        except psutil.TimeoutExpired:
            pass
        else:
            return True
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
