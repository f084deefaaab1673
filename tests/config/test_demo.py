"""What the demo says of the nights that follow it."""

from __future__ import annotations

import pytest
from django.utils import translation

from config import demo
from tests.builders import make_issuer

pytestmark = pytest.mark.django_db


def test_the_demo_says_whether_the_nights_after_it_issue():
    alone = make_issuer(reference="MAIN", issues_by_itself=True)
    waits = make_issuer(reference="OTHER", issues_by_itself=False)
    with translation.override("en"):
        assert demo.outlook(alone) == (
            "As long as make run keeps running, the timetable bills from the next night on all that is due by then and"
            " issues it at once. If you do not want that, switch off “the nightly run issues by itself” at the issuer"
            " MAIN first; then drafts wait for you."
        )
        assert demo.outlook(waits).endswith("its drafts wait until you release them.")
    with translation.override("de"):
        assert "stellt es sofort aus" in demo.outlook(alone)
        assert "bis Sie sie freigeben" in demo.outlook(waits)
