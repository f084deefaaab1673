"""Rights at an account that goes up in another one: whoever has them there has them here, too."""

from __future__ import annotations

from config.restructuring.effects import Effect, RightCopied
from tenants.models import Access, NotificationPreference, StaffScope, Tenant


def copy_rights(effect: Effect, tenant: Tenant, into: Tenant) -> None:
    """Copy accesses, staff scopes and notification preferences, and note them; those at ``tenant`` stay.

    An access that exists gains what the other one grants. What ``into`` says about an event and a role stands.
    """
    _copy_accesses(effect, tenant, into)
    _copy_scopes(effect, tenant, into)
    _copy_preferences(effect, tenant, into)


def _copy_accesses(effect: Effect, tenant: Tenant, into: Tenant) -> None:
    there = {access.user_id: access for access in Access.objects.filter(tenant=into)}
    granting = ("with_descendants", *Access.RIGHTS)
    for access in Access.objects.filter(tenant=tenant).select_related("user").order_by("user__username"):
        own = there.get(access.user_id) or Access(user=access.user, tenant=into, with_descendants=False)
        gained = tuple(name for name in granting if getattr(access, name) and not getattr(own, name))
        if gained:
            for name in gained:
                setattr(own, name, True)
            own.save()
            effect.rights.append(RightCopied("access", access.user.get_username(), gained))


def _copy_scopes(effect: Effect, tenant: Tenant, into: Tenant) -> None:
    within = [*into.get_ancestors(include_self=True).values_list("pk", flat=True)]
    there = set(StaffScope.objects.filter(tenant__in=within).values_list("user_id", flat=True))
    for scope in StaffScope.objects.filter(tenant=tenant).select_related("user").order_by("user__username"):
        if scope.user_id not in there:
            StaffScope.objects.create(user=scope.user, tenant=into)
            effect.rights.append(RightCopied("scope", scope.user.get_username(), ()))


def _copy_preferences(effect: Effect, tenant: Tenant, into: Tenant) -> None:
    said = set(NotificationPreference.objects.filter(tenant=into).values_list("event", "role"))
    for preference in NotificationPreference.objects.filter(tenant=tenant).order_by("event", "role"):
        if (preference.event, preference.role) not in said:
            NotificationPreference.objects.create(
                tenant=into, event=preference.event, role=preference.role, is_wanted=preference.is_wanted
            )
            effect.rights.append(
                RightCopied("notification", preference.role, (preference.event, str(preference.is_wanted)))
            )
