"""How long somebody stays signed in: half an hour without a page, ten hours at most, never beyond its rights.

A changed password ends all other sessions by itself (Django's session hash).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import logout
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from tenants.sign_in import has_second_factor

IDLE: Final = 30 * 60
LONGEST: Final = 10 * 3600
WRITTEN_EVERY: Final = 60  # seconds: the time of the last page is kept no finer
STAMP: Final = "signed_in"

RIGHTS: Final = """
    select md5(concat_ws('|',
        u.is_active, u.is_staff, u.is_superuser,
        (select string_agg(concat(g.group_id, ':', (
            select string_agg(p.permission_id::text, ',' order by p.permission_id)
              from auth_group_permissions p where p.group_id = g.group_id)), ';' order by g.group_id)
           from auth_user_groups g where g.user_id = u.id),
        (select string_agg(p.permission_id::text, ',' order by p.permission_id)
           from auth_user_user_permissions p where p.user_id = u.id),
        (select string_agg(a::text, ';' order by a.id) from tenants_access a where a.user_id = u.id),
        (select string_agg(s::text, ';' order by s.id) from tenants_staffscope s where s.user_id = u.id),
        (select f.id || f.secret from tenants_secondfactor f where f.user_id = u.id and f.confirmed_at is not null)
    )) from auth_user u where u.id = %s
"""


def rights_of(user: Any) -> str:
    """A hash of all that says what the user may do and how he signs in."""
    with connection.cursor() as cursor:
        cursor.execute(RIGHTS, [user.pk])
        return str(cursor.fetchone()[0])


def keep_session(request: HttpRequest) -> None:
    """Let this session, alone of the user's, outlast a change of rights that he made himself (the second factor)."""
    stamp = request.session.get(STAMP, {})
    request.session[STAMP] = stamp | {"rights": rights_of(request.user)}


class SessionRules:
    """Middleware: ends sessions that are idle, old, or older than a change of rights; may demand a second factor."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated and not self.holds(request):
            logout(request)
        if request.user.is_authenticated and self.lacks_second_factor(request):
            return HttpResponseRedirect(reverse("second_factor"))
        return self.get_response(request)

    def holds(self, request: HttpRequest) -> bool:
        now, rights, key = int(timezone.now().timestamp()), rights_of(request.user), request.session.session_key
        stamp = request.session.get(STAMP)
        if stamp is None or stamp["key"] != key:  # signing in gives a session a new key
            request.session[STAMP] = {"since": now, "seen": now, "rights": rights, "key": key}
            return True
        if now - stamp["seen"] > IDLE or now - stamp["since"] > LONGEST or stamp["rights"] != rights:
            return False
        if now - stamp["seen"] >= WRITTEN_EVERY:
            request.session[STAMP] = stamp | {"seen": now}
        return True

    def lacks_second_factor(self, request: HttpRequest) -> bool:
        if not (settings.STAFF_NEEDS_SECOND_FACTOR and request.user.is_staff):
            return False
        free = (reverse("second_factor"), reverse("admin:logout"), reverse("set_language"))
        return request.path not in free and request.path.startswith("/admin/") and not has_second_factor(request.user)
