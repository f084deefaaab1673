"""The nightly run is killed again and again, and started again: the rows are those of a night without trouble."""

from __future__ import annotations

import random
import time

import pytest

from tests.stories.conftest import Billed, billed
from tests.stories.processes import PATIENCE, settled, start_bill, wait_until

PAYERS = 684


@pytest.mark.parametrize(
    ("kills", "chunk"),
    [pytest.param(10, 20, id="ten times"), pytest.param(40, 5, id="forty times", marks=pytest.mark.torture)],
)
def test_a_run_killed_at_random_moments_ends_as_if_undisturbed(own_book, undisturbed: Billed, kills: int, chunk: int):
    """The moments are spread over the whole run: a part of a chunk's time after a random number of settled payers."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    moments = sorted(chance.sample(range(0, PAYERS - 4 * chunk, chunk), kills))
    part_of_a_chunk = 0.05
    for moment in moments:
        process = start_bill(own_book, chunk=chunk)
        wait_until(lambda moment=moment: settled() >= moment, process=process)
        time.sleep(chance.uniform(0, part_of_a_chunk))
        assert process.poll() is None
        process.kill()
        process.wait()
    assert 0 < settled() < PAYERS
    process = start_bill(own_book, chunk=chunk)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert billed() == undisturbed
