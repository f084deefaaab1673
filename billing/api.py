"""Where applications report usage: ``POST /api/usage`` with the token of their source (docs/usage.md).

No session and no CSRF token: the bearer token says who speaks. Each event gets an answer of its own; events that cannot
be read keep no other from being taken in. Whoever hears nothing sends the same again: what is known counts once.
"""

from __future__ import annotations

import random
import time
from typing import Any, Final

from django.db import OperationalError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone, translation
from django.utils.translation import get_language_from_request, gettext
from django.views.decorators.csrf import csrf_exempt

from billing import metering, usage_tokens
from billing.metering import Event, FromJson, Intake
from billing.metering.events import parsed
from billing.models import UsageToken
from tenants.cells import CellError

LONGEST: Final = 8 * 2**20  # bytes
MOST: Final = 10_000  # events of a request
ATTEMPTS: Final = 3
PASSING: Final = {"40P01", "40001", "55P03"}  # deadlock, serialization failure, lock timeout


class Answer(Exception):
    """A request that is answered as a whole."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


@csrf_exempt
def usage(request: HttpRequest) -> JsonResponse:
    """Take events in. Messages are English unless the request wants another language."""
    with translation.override(get_language_from_request(request) if "Accept-Language" in request.headers else "en"):
        try:
            return _taken(request)
        except Answer as answer:
            response = JsonResponse({"error": answer.code, "message": answer.message}, status=answer.status)
            for name, value in answer.headers.items():
                response[name.replace("_", "-")] = value
            return response


def _taken(request: HttpRequest) -> JsonResponse:
    if request.method != "POST":
        raise Answer(405, "method_not_allowed", gettext("Events are sent by POST."), Allow="POST")
    token = _token(request)
    items = _events(request)
    reader = FromJson(application=token.source.application.reference if token.source.application else "")
    events = [_read(reader, item) for item in items]
    with usage_tokens.turn_of(token) as is_free:
        if not is_free:
            text = gettext("Another request with this token is being answered; send one at a time.")
            raise Answer(429, "too_many_requests", text, Retry_After="1")
        intake = _take_in(token, events)
    outcomes = [intake.outcome(place) for place in range(len(events))]
    told = []
    for place, (item, outcome) in enumerate(zip(items, outcomes, strict=True)):
        one = {"event": item.get("event") if isinstance(item, dict) else None, "outcome": outcome.value}
        if place in intake.refused:
            one["reason"] = intake.refused[place]
        elif place in intake.conflicts:
            one["reason"] = gettext("the event is known and says something else; take it back by another (reverses)")
        told.append(one)
    counts = {name: sum(outcome == name for outcome in outcomes) for name in metering.Outcome}
    return JsonResponse({"batch": intake.batch.pk, **counts, "events": told}, json_dumps_params={"default": str})


def _token(request: HttpRequest) -> UsageToken:
    scheme, _space, text = request.headers.get("Authorization", "").partition(" ")
    token = usage_tokens.token_of(text.strip(), now=timezone.now()) if scheme.lower() == "bearer" else None
    if token is None:
        text = gettext("Send a valid token: Authorization: Bearer ku_…")
        raise Answer(401, "unauthorized", text, WWW_Authenticate="Bearer")
    return token


def _events(request: HttpRequest) -> list[Any]:
    if request.content_type != "application/json":
        raise Answer(415, "unsupported_media_type", gettext("The body is JSON: Content-Type: application/json."))
    body = request.read(LONGEST + 1)  # not ``body``: forms have a lower limit
    if len(body) > LONGEST:
        text = gettext("The body is longer than %(limit)d MiB; send smaller batches.")
        raise Answer(413, "too_large", text % {"limit": LONGEST >> 20})
    try:
        said = parsed(body)
    except ValueError:
        raise Answer(400, "malformed", gettext("The body is no valid JSON.")) from None
    if not isinstance(said, dict) or said.keys() != {"events"} or not isinstance(said["events"], list):
        raise Answer(400, "malformed", gettext('The body is an object with a list: {"events": [...]}'))
    items: list[Any] = said["events"]
    if not 1 <= len(items) <= MOST:
        raise Answer(
            413 if items else 400, "too_many_events", gettext("1 to %(limit)d events a request.") % {"limit": MOST}
        )
    return items


def _read(reader: FromJson, item: Any) -> Event | str:
    try:
        return reader.event(item)
    except CellError as error:
        return str(error)


def _take_in(token: UsageToken, events: list[Event | str]) -> Intake:
    """Once more if it only met others at the same rows; the whole is one transaction, so nothing of it remains."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return metering.take_in(token.source, events, now=timezone.now())
        except OperationalError as error:
            if getattr(error.__cause__, "pgcode", None) not in PASSING:
                raise
            if attempt < ATTEMPTS:
                time.sleep(random.uniform(0.05, 0.3) * attempt)
    raise Answer(503, "busy", gettext("Others hold the same records; send the same again."), Retry_After="5")
