"""A Stripe on this machine, in a process of its own: ``python -m tests.stripe_server FOLDER`` prints its port.

Requests are judged by the checker beside the checkout, which reads the parameters of each endpoint from the installed
package and keeps state. Here stand the parts that it lacks: pages of Checkout, payouts and what is in them, refunds
that fail, and answers that never come.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.server_process import serving

ROOT = Path(__file__).resolve().parent.parent
CHECKER = ROOT.parent / "shared" / "validators" / "stripe"


@dataclass
class Stripe:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def does(self, what: str, **how: Any) -> dict[str, Any]:
        """Tell it: ``webhook``, ``next`` (status, times, path), ``settle``, ``dispute``, ``page`` ..."""
        body = json.dumps(how).encode()
        request = urllib.request.Request(f"{self.url}/_judge/{what}", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    @property
    def requests(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/_judge/requests", timeout=30) as answer:
            return json.load(answer)["requests"]

    def all(self, what: str) -> list[dict[str, Any]]:
        """Every object of a kind, the oldest first: ``payment_intent``, ``charge``, ``refund``, ``event`` ..."""
        return self.does("all", object=what)["data"]


@contextmanager
def provider(folder: Path) -> Iterator[Stripe]:
    """A Stripe that does all that it is asked, until told otherwise."""
    if not CHECKER.is_dir():
        pytest.skip(f"the checker of requests is not there: {CHECKER}")
    folder.mkdir(parents=True, exist_ok=True)
    with serving("tests.stripe_server", folder) as port:
        yield Stripe(port)


def main() -> None:
    sys.path.insert(0, str(CHECKER))
    judge = importlib.import_module("stripe_judge")
    judge.SERVICES = (*judge.SERVICES, "payout")

    class World(judge.World):
        def do_checkout(self, method: str, _ident: str, action: str | None, p: Any, parts: list[str]) -> Any:
            if action is None:
                return self.open_page(p)
            page = self.get("checkout.session", action)
            if parts[3:] == ["expire"]:
                if page["status"] != "open":
                    raise judge.Problem(400, "invalid_request_error", None, "Only open sessions can be expired.")
                page.update(status="expired", url=None)
                self.event("checkout.session.expired", page)
            return page

        def open_page(self, p: Any) -> Any:
            self.get("customer", p["customer"])
            page = self.new(
                "checkout.session",
                "cs_test",
                mode=p["mode"],
                status="open",
                customer=p["customer"],
                payment_intent=None,
                setup_intent=None,
                metadata=p.get("metadata", {}),
                expires_at=int(p.get("expires_at", 4_000_000_000)),
                judge=p,
            )
            page["url"] = f"http://127.0.0.1:{PORT[0]}/c/pay/{page['id']}"
            return page

        def do_payouts(self, method: str, ident: str | None, action: str | None, p: Any, parts: list[str]) -> Any:
            return self.get("payout", ident) if ident else self.page("payout", p, lambda row: True)

        def do_balance_transactions(self, method: str, ident: str, action: str | None, p: Any, parts: Any) -> Any:
            if ident:
                return self.get("balance_transaction", ident)
            return self.page(
                "balance_transaction", p, lambda row: not p.get("payout") or row.get("payout") == p["payout"]
            )

        def do_refunds(self, method: str, ident: str | None, action: str | None, p: Any, parts: list[str]) -> Any:
            made = super().do_refunds(method, ident, action, p, parts)
            if method == "POST" and not ident:
                self.move("refund", made["id"], -made["amount"], 0, made["currency"])
            return made

        def move(self, kind: str, source: str, amount: int, fee: int, currency: str, **more: Any) -> Any:
            return self.new(
                "balance_transaction",
                "txn",
                amount=amount,
                fee=fee,
                net=amount - fee,
                currency=currency,
                source=source,
                type=kind,
                status="pending",
                **more,
            )

        def control(self, path: str, body: Any) -> Any:
            name = path.removeprefix("/_judge/")
            own = getattr(self, f"told_{name}", None)
            if own is not None:
                return own(body)
            done = super().control(path, body)
            if name == "dispute":
                self.move("adjustment", done["id"], -done["amount"], 1500, done["currency"])
            return done

        def told_forget(self, body: Any) -> Any:
            self.hooks.clear()
            self.reset()
            return {"ok": True}

        def told_all(self, body: Any) -> Any:
            return {"data": [self.things[key] for key in self.order if self.things[key]["object"] == body["object"]]}

        def told_page(self, body: Any) -> Any:
            """The customer is done on a page of Checkout, with a method by its test name."""
            page = self.get("checkout.session", body["session"])
            asked, metadata = page["judge"], page["metadata"]
            with_mandate = {"mandate_data": {"customer_acceptance": {"type": "online"}}}
            if page["mode"] == "setup":
                made = self.do_setup_intents(
                    "POST", None, None, {"customer": page["customer"], "metadata": metadata}, []
                )
                page.update(setup_intent=made["id"], status="complete", url=None)
                self.setup(made, {"payment_method": body["payment_method"], **with_mandate})
            else:
                line = asked["line_items"][0]
                made = self.do_payment_intents(
                    "POST",
                    None,
                    None,
                    {
                        "amount": int(line["price_data"]["unit_amount"]) * int(line["quantity"]),
                        "currency": line["price_data"]["currency"],
                        "customer": page["customer"],
                        "metadata": metadata,
                        "description": asked.get("payment_intent_data", {}).get("description"),
                    },
                    [],
                )
                page["payment_intent"] = made["id"]
                self.confirm(made, {"payment_method": body["payment_method"], **with_mandate})
                page.update(status="complete", url=None)
            return self.event("checkout.session.completed", page)

        def told_expire(self, body: Any) -> Any:
            page = self.get("checkout.session", body["session"])
            page.update(status="expired", url=None)
            return self.event("checkout.session.expired", page)

        def told_payout(self, body: Any) -> Any:
            """Pay out all that has not been: a payout, the lines in it, and its event."""
            lines = [
                row
                for row in map(self.things.get, self.order)
                if row and row["object"] == "balance_transaction" and not row.get("payout")
            ]
            total = sum(row["net"] for row in lines)
            made = self.new("payout", "po", amount=total, currency="eur", status="paid", arrival_date=int(body["on"]))
            for row in lines:
                row["payout"] = made["id"]
            self.move("payout", made["id"], -total, 0, "eur", payout=made["id"])
            self.event("payout.paid", made)
            return made

        def told_fail_refund(self, body: Any) -> Any:
            found = self.get("refund", body["refund"])
            found.update(status="failed", failure_reason="expired_or_canceled_card")
            return self.event("refund.failed", found)

        def told_close_dispute(self, body: Any) -> Any:
            found = self.get("dispute", body["dispute"])
            found.update(status=body["status"])
            return self.event("charge.dispute.closed", found)

        def told_alter(self, body: Any) -> Any:
            """Change what is stored of an object, as Stripe never would: for what must be noticed."""
            self.things[body["id"]].update(body["values"])
            return {"ok": True}

    class Handler(judge.Handler):
        world, table, types = World(), judge.endpoints() | checkout(judge), judge.Types()

        def handle_any(self) -> None:
            hanging = next(
                (f for f in self.world.faults if f["status"] == "hang" and f.get("path", "") in self.path), None
            )
            if hanging and not self.path.startswith("/_judge/"):
                self.world.faults.remove(hanging)
                Event().wait(3600)
            super().handle_any()

        do_GET = do_POST = do_DELETE = handle_any

    with judge.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        PORT.append(server.server_port)
        print(server.server_port, flush=True)
        server.serve_forever()


PORT: list[int] = []


def checkout(judge: Any) -> dict[Any, Any]:
    """The endpoints of Checkout, read from the package as the checker reads the others."""
    module = importlib.import_module("stripe.checkout._session_service")
    tree = ast.parse(Path(str(module.__file__)).read_text())
    found = {}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            if getattr(call.func, "attr", "") != "_request":
                continue
            path: Any = call.args[1].func.value if isinstance(call.args[1], ast.Call) else call.args[1]  # type: ignore[attr-defined]
            verb = call.args[0].value.upper()  # type: ignore[attr-defined]
            annotated = next(
                (ast.unparse(a.annotation) for a in function.args.args if a.arg == "params" and a.annotation), ""
            )
            name = re.search(r"(Session\w+Params)\b", annotated)
            params = getattr(importlib.import_module("stripe.params.checkout"), name[1]) if name else None
            found[verb, path.value] = (re.compile(re.sub(r"\{\w+\}", r"([^/]+)", path.value) + "$"), params)
    return found


if __name__ == "__main__":
    main()
