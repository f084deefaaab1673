"""The numbers of the account tree: what is wrong is named, and numbered anew from the parents."""

from __future__ import annotations

from functools import partial
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from mptt.exceptions import InvalidMove

from tenants import tree
from tenants.models import Tenant
from tests.builders import make_tenant
from tests.concurrency import in_thread


@pytest.fixture
def accounts(db) -> None:
    """GROUP over EAST (over SHOP) and WEST; ALONE for itself."""
    group = make_tenant(reference="GROUP")
    east = make_tenant(reference="EAST", parent=group)
    make_tenant(reference="SHOP", parent=east)
    make_tenant(reference="WEST", parent=group)
    make_tenant(reference="ALONE")


def numbers() -> dict[str, tuple[int, int, int]]:
    return {t.reference: (t.lft, t.rght, t.level) for t in Tenant.objects.all()}


SOUND = {"GROUP": (1, 8, 0), "EAST": (2, 5, 1), "SHOP": (3, 4, 2), "WEST": (6, 7, 1), "ALONE": (1, 2, 0)}

BROKEN = {
    "a level": ("update tenants_tenant set level = 5 where reference = 'SHOP'", {"SHOP"}),
    "a root's level": ("update tenants_tenant set level = 1 where reference = 'ALONE'", {"ALONE"}),
    "a number twice": ("update tenants_tenant set lft = 3 where reference = 'EAST'", {"EAST", "SHOP"}),
    "a number left out": ("update tenants_tenant set rght = 9 where reference = 'GROUP'", {"EAST"}),
    "siblings that cross": (
        "update tenants_tenant set rght = 6 where reference = 'EAST';"
        "update tenants_tenant set lft = 5 where reference = 'WEST'",
        {"WEST"},
    ),
    "a parent changed without its numbers": (
        "update tenants_tenant set parent_id = (select id from tenants_tenant where reference = 'WEST')"
        " where reference = 'SHOP'",
        {"SHOP"},
    ),
    "two roots in one tree": (
        "update tenants_tenant set tree_id = (select tree_id from tenants_tenant where reference = 'GROUP'), lft = 9,"
        " rght = 10 where reference = 'ALONE'",
        {"ALONE"},
    ),
    "a tree of its own below a parent": (
        "update tenants_tenant set tree_id = 99, lft = 1, rght = 2, level = 0 where reference = 'WEST'",
        {"WEST", "EAST"},
    ),
    "all numbers lost": ("update tenants_tenant set tree_id = 1, lft = id, rght = id, level = 0", None),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_named_and_repaired(accounts, case):
    assert list(tree.faults()) == []
    assert numbers() == SOUND
    statement, named = BROKEN[case]
    with connection.cursor() as cursor:
        cursor.execute(statement)
    found = {fault.account for fault in tree.faults()}
    assert found == named or (named is None and found)
    with pytest.raises(CommandError):
        call_command("check_trees", stdout=StringIO())

    call_command("check_trees", "--repair", stdout=StringIO())
    assert list(tree.faults()) == []
    assert {t.reference: t.parent and t.parent.reference for t in Tenant.objects.all()}["EAST"] == "GROUP"
    if "SHOP" not in statement:
        assert {name: numbers()[name] for name in ("GROUP", "EAST", "SHOP", "WEST", "ALONE")} == SOUND
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")


def test_accounts_below_themselves_are_named_and_nothing_is_repaired(accounts):
    with connection.cursor() as cursor:
        cursor.execute(
            "update tenants_tenant set parent_id = (select id from tenants_tenant where reference = 'SHOP')"
            " where reference = 'EAST'"
        )
    before = numbers()
    assert "EAST" in {fault.account for fault in tree.faults()}
    with pytest.raises(CommandError, match=r"EAST, SHOP"):
        call_command("check_trees", "--repair", stdout=StringIO())
    assert numbers() == before


def test_repairing_a_sound_tree_changes_nothing(accounts):
    before = list(Tenant.objects.order_by("id").values())
    tree.repair()
    assert list(Tenant.objects.order_by("id").values()) == before


def test_200_moves_and_inserts_at_the_same_time_leave_a_sound_tree(own_database):
    """Eight sessions, twenty-five changes each, in one tree: the lock lets them through one after the other."""
    root = make_tenant(reference="ROOT")
    for name in "ABCDEFGH":
        make_tenant(reference=name, parent=root)

    def work(worker: int) -> int:
        moved = 0
        for step in range(25):
            own, other = "ABCDEFGH"[worker], "ABCDEFGH"[(worker + step) % 8]
            account, place = Tenant.objects.get(reference=own), Tenant.objects.get(reference=other)
            if step % 2:
                make_tenant(reference=f"N-{worker}-{step}", parent=place)
                moved += 1
                continue
            account.parent = place
            try:
                account.save()
                moved += 1
            except InvalidMove:  # somebody hung the place below this account meanwhile
                account = Tenant.objects.get(reference=own)
                account.parent = root
                account.save()
                moved += 1
        return moved

    assert sum(future.result() for future in [in_thread(partial(work, n)) for n in range(8)]) == 200
    assert Tenant.objects.count() == 9 + 8 * 12
    assert list(tree.faults()) == []
    call_command("check_trees", stdout=StringIO())
