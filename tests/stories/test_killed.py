"""The nightly run is killed again and again, and started again: the rows are those of a night without trouble."""

from __future__ import annotations

import random
import time

import pytest

from tests.stories.conftest import Billed, billed
from tests.stories.processes import PATIENCE, settled, start_bill, wait_until

PAYERS = 684
A_CHUNK_TAKES = 0.05  # seconds, about


@pytest.mark.parametrize(
    ("kills", "chunk", "processes"),
    [
        pytest.param(10, 20, 1, id="ten times"),
        pytest.param(40, 5, 1, id="forty times", marks=pytest.mark.torture),
        pytest.param(40, 5, 4, id="forty times among four", marks=pytest.mark.torture),
    ],
)
def test_a_run_killed_at_random_moments_ends_as_if_undisturbed(
    own_book, undisturbed: Billed, kills: int, chunk: int, processes: int
):
    """The moments are spread over the whole run: a part of a chunk's time after a random number of settled payers."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    moments = sorted(chance.sample(range(0, PAYERS - 4 * chunk * processes, chunk), kills))
    running = [start_bill(own_book, chunk=chunk) for _ in range(processes)]
    for moment in moments:
        wait_until(lambda moment=moment: settled() >= moment, while_running=running)
        time.sleep(chance.uniform(0, A_CHUNK_TAKES))
        victim = running.pop(chance.randrange(processes))
        assert victim.poll() is None
        victim.kill()
        victim.wait()
        running.append(start_bill(own_book, chunk=chunk))
    assert settled() < PAYERS
    for process in running:
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
    assert billed() == undisturbed
