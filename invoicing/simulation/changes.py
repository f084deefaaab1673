"""The dated changes of a scenario, each by the station that makes it in the live book."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _

from billing import contracts
from billing.models import Amendment, Grant, Subscription
from invoicing.simulation.reading import Node
from invoicing.simulation.world import CHANNEL, World, placed

Call = Callable[..., Any]
WORDS = {str(word) for word in contracts.When}


def apply(world: World, subscription: Subscription, node: Node, made: Sequence[Amendment | None]) -> Amendment:
    """Write down one change of a contract; ``made`` are the amendments of those before it in the file, by their place.

    Raises ``ScenarioRefused`` naming the change.
    """
    station, arguments = STATIONS[node.text("kind")]
    given = arguments(world, subscription, node, made)
    with placed(world, node.path):
        found = station(subscription, **given, reason=node.text("reason"), by=None, channel=CHANNEL)
    if isinstance(found, tuple):
        found, successor = found
        world.contracts.append(successor)
    return found


def _effective(node: Node) -> Any:
    """A day, or one of the words for it; ``None`` leaves the choice to the station."""
    text = node.data.get("effective")
    if text is None:
        return None
    return contracts.When(text) if text in WORDS else date.fromisoformat(text)


def _when(node: Node) -> dict[str, Any]:
    effective = _effective(node)
    return {"on": node.required_day("on")} | ({} if effective is None else {"effective": effective})


def _line(node: Node) -> dict[str, Any]:
    return {"line": node.data.get("position", 1), **_when(node)}


def _from(node: Node) -> dict[str, Any]:
    return {"effective": node.day("effective") or node.required_day("on")}


def _agreed(node: Node) -> dict[str, Any]:
    return {"unit_price": node.figure("unit_price", 10), "flat_amount": node.figure("flat_amount")}


def _given(node: Node, **values: Any) -> dict[str, Any]:
    """Those that the file names: the others stay as the station has them."""
    return {name: value for name, value in values.items() if name in node}


def _grant(world: World, subscription: Subscription, node: Node) -> Grant:
    held = Grant.objects.filter(subscription=subscription, discount=world.discount(node)).order_by("-pk").first()
    if held is None:
        node.refuse(_("the contract does not have this discount."), "discount")
    return held


def _sequence(node: Node, made: Sequence[Amendment | None]) -> int:
    place = node.data["change"]
    amendment = made[place] if place < len(made) else None
    if amendment is None:
        node.refuse(_("no change of this place was made by then."), "change")
    return amendment.sequence


Arguments = Callable[[World, Subscription, Node, Sequence[Amendment | None]], dict[str, Any]]

# kind in the file -> station of the live book, and what it is given
STATIONS: Final[dict[str, tuple[Call, Arguments]]] = {
    "quantity": (
        contracts.change_quantity,
        lambda world, subscription, node, made: {**_line(node), "quantity": node.figure("quantity")},
    ),
    "product": (
        contracts.change_product,
        lambda world, subscription, node, made: {
            **_line(node),
            "product": world.product(node),
            "quantity": node.figure("quantity"),
        },
    ),
    "price": (contracts.agree_price, lambda world, subscription, node, made: {**_line(node), **_agreed(node)}),
    "add": (
        contracts.add,
        lambda world, subscription, node, made: {
            **_from(node),
            **_agreed(node),
            "product": world.product(node),
            "quantity": node.figure("quantity") or Decimal(1),
            "instalments": node.whole("instalments"),
        },
    ),
    "end": (contracts.end, lambda world, subscription, node, made: _line(node)),
    "discount": (
        contracts.grant,
        lambda world, subscription, node, made: {
            **_when(node),
            "discount": world.discount(node),
            "periods": node.whole("periods"),
        },
    ),
    "discount_end": (
        contracts.end_discount,
        lambda world, subscription, node, made: {**_when(node), "grant": _grant(world, subscription, node)},
    ),
    "pause": (
        contracts.pause,
        lambda world, subscription, node, made: {
            **_from(node),
            "until": node.day("until"),
            **_given(node, policy=node.text("policy")),
        },
    ),
    "resume": (contracts.resume, lambda world, subscription, node, made: _from(node)),
    "trial": (
        contracts.extend_trial,
        lambda world, subscription, node, made: {
            "on": node.required_day("on"),
            "ends_before": node.required_day("trial_ends_before"),
        },
    ),
    "activation": (
        contracts.activate,
        lambda world, subscription, node, made: {
            "activated_on": node.day("activated_on"),
            "accepted_on": node.day("accepted_on"),
        },
    ),
    "alignment": (
        contracts.align,
        lambda world, subscription, node, made: {**_when(node), "billing_day": node.whole("billing_day")},
    ),
    "cancellation": (
        contracts.cancel,
        lambda world, subscription, node, made: {
            **_when(node),
            **_given(node, money=node.text("money"), override=node.flag("override")),
        },
    ),
    "reinstatement": (
        contracts.reinstate,
        lambda world, subscription, node, made: {
            "effective": node.day("effective"),
            "ends_before": node.day("ends_before"),
        },
    ),
    "transfer": (
        contracts.transfer,
        lambda world, subscription, node, made: {
            **_from(node),
            "tenant": world.tenant(node, "tenant"),
            "reference": node.text("reference"),
        },
    ),
    "withdrawal": (
        contracts.withdraw,
        lambda world, subscription, node, made: {"sequence": _sequence(node, made)},
    ),
}
