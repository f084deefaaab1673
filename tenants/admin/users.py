"""Who may sign in, and with which rights."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.db.models import ManyToManyField, Q, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultiple, UnfoldAdminSelect2MultipleWidget

from tenants import sign_in
from tenants.admin.base import RowsInline, Screen
from tenants.models import Access, StaffScope
from tenants.transactions import acting

admin.site.unregister(User)
admin.site.unregister(Group)

ROLES = {
    "operator": _("prepares, imports, starts runs"),
    "approver": _("releases and issues, keeps prices and dunning policies"),
    "auditor": _("reads everything, changes nothing"),
    "support": _("reads accounts, contracts and documents"),
}


DEEDS = {"add": _("add"), "change": _("change"), "delete": _("delete"), "view": _("view")}
APPS = ("tenants", "billing", "invoicing", "payments", "auth", "django_celery_beat")


class PermissionField(forms.ModelMultipleChoiceField):
    """Permissions in the user's language: Django keeps their names in English."""

    def label_from_instance(self, obj: Permission) -> str:
        deed = obj.codename.partition("_")[0]
        model = obj.content_type.model_class()
        if model is None:
            return obj.name
        if deed in DEEDS:
            return f"{model._meta.verbose_name_plural}: {DEEDS[deed]}"
        return f"{model._meta.verbose_name_plural}: {gettext(obj.name)}"


def is_not_above(user: Any, other: User | None) -> bool:
    """Whether ``user`` has every right of ``other``, who may be inactive for now; ``None`` is nobody yet."""
    if user.is_superuser or other is None:
        return True
    given = Permission.objects.filter(Q(group__user=other) | Q(user=other)).select_related("content_type")
    rights = {f"{permission.content_type.app_label}.{permission.codename}" for permission in given}
    return not other.is_superuser and rights <= user.get_all_permissions()


class AccessFormSet(BaseInlineFormSet):
    """What a customer may see in the portal; staff need none."""

    def clean(self) -> None:
        super().clean()
        kept = [form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        if kept and (self.instance.is_staff or self.instance.is_superuser):
            raise ValidationError(_("Staff have no access to the portal: give the customer a user of their own."))


class AccessInline(RowsInline):
    model = Access
    formset = AccessFormSet
    fields = ["tenant", "with_descendants", *Access.RIGHTS]
    autocomplete_fields = ["tenant"]


class StaffScopeInline(RowsInline):
    model = StaffScope
    fields = ["issuer", "tenant"]
    autocomplete_fields = ["tenant"]
    verbose_name_plural = _("Bounds (staff)")


@admin.register(User)
class UserAdmin(Screen, DjangoUserAdmin):
    """Rights come from roles alone; a right of one person would be forgotten."""

    form = UserChangeForm
    add_form = UserCreationForm
    # Named, or the empty ones of the theme, which stand first, would leave the page of a new user without a field.
    add_fieldsets = DjangoUserAdmin.add_fieldsets
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "first_name", "last_name", "email", "is_active", "is_superuser", "last_login"]
    list_filter = [("is_active", BooleanRadioFilter), ("is_superuser", BooleanRadioFilter)]
    ordering = ["username"]
    filter_horizontal = ()
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Person"), {"fields": [("first_name", "last_name", "email")]}),
        (_("Rights"), {"fields": [("is_active", "is_staff", "is_superuser"), "groups"]}),
        (_("Days"), {"fields": [("last_login", "date_joined")]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    inlines = [AccessInline, StaffScopeInline]
    actions = ["reset_second_factor"]

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        """Once the user is there."""
        return self.inlines if obj is not None else []

    @admin.action(description=_("Reset the second factor"), permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """For whoever has lost the authenticator; it is set up anew at the next sign-in."""
        with acting(**self.actor(request)):
            for user in queryset:
                if is_not_above(request.user, user):
                    sign_in.drop_second_factor(user)
        self.message_user(request, gettext("The second factor of the selected users is reset."))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may edit users may not lift himself above his own rights through another's account."""
        return is_not_above(request.user, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_not_above(request.user, obj) and super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Rights are given by who has them all."""
        given = super().get_readonly_fields(request, obj)
        return given if request.user.is_superuser else [*given, "is_superuser", "groups"]

    def formfield_for_manytomany(self, db_field: ManyToManyField, request: Any = None, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultiple()
        return super().formfield_for_manytomany(db_field, request, **kwargs)


@admin.register(Group)
class GroupAdmin(Screen, DjangoGroupAdmin):
    list_display = ["name", "meaning"]
    filter_horizontal = ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Rights are given by who has them all."""
        given = super().get_readonly_fields(request, obj)
        return given if request.user.is_superuser else [*given, "permissions"]

    @admin.display(description=_("meaning"))
    def meaning(self, group: Group) -> str:
        return str(ROLES.get(group.name, "–"))

    def formfield_for_manytomany(self, db_field: ManyToManyField, request: Any = None, **kwargs: Any) -> Any:
        if db_field.name != "permissions":
            return super().formfield_for_manytomany(db_field, request, **kwargs)
        known = Permission.objects.filter(content_type__app_label__in=APPS).select_related("content_type")
        return PermissionField(
            queryset=known.order_by("content_type__app_label", "content_type__model", "codename"),
            widget=UnfoldAdminSelect2MultipleWidget(),
            required=False,
            label=_("Rights"),
        )
