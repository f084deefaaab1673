"""What was used: each event known once and stored, the totals of a day those of its events."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from config.books.rules.rule import Rule

EVENT: Final = _("usage event %(event)s of source %(source)s")
DAY: Final = _("usage of account %(account)s, meter %(meter)s, on %(day)s")
NAMED: Final = "k.key as event, s.reference as source"
KEYS: Final = "billing_usagekey k join billing_usagesource s on s.id = k.source_id"
# The month from which events are kept: what was aged out can no longer be compared.
KEPT: Final = """
    (select min(to_date(right(c.relname, 7), 'YYYY_MM')) as first_month from pg_inherits i
       join pg_class c on c.oid = i.inhrelid where i.inhparent = 'billing_usageevent'::regclass) kept
"""
COUNTED: Final = "e.tenant_id is not null and e.reversed_by_id is null and e.reverses_key = ''"
OF_THE_DAY: Final = """
    join tenants_tenant a on a.id = d.tenant_id join billing_meter m on m.id = d.meter_id
    join billing_application p on p.id = m.application_id
"""
NAMED_DAY: Final = "a.reference as account, p.reference || '/' || m.reference as meter, d.day"

RULES: Final = (
    Rule(
        "usage once",
        EVENT,
        _("Its key is known, but the event is not there: it would never be billed, and never be taken in again."),
        f"""
        select {NAMED} from {KEYS} cross join {KEPT}
         where (kept.first_month is null or k.occurred_at >= kept.first_month)
           and not exists (select from billing_usageevent e where e.id = k.id and e.occurred_at = k.occurred_at)
        """,
    ),
    Rule(
        "usage totals",
        DAY,
        _("The total says %(stated)s, the events come to %(reckoned)s (number / sum / highest value)."),
        f"""
        select {NAMED_DAY},
               concat_ws(' / ', d.count, trim_scale(d.total), trim_scale(d.maximum)) as stated,
               concat_ws(' / ', d.events, trim_scale(d.summed), trim_scale(d.highest)) as reckoned
          from (select * from (
                    select t.* from billing_usagetotal t cross join {KEPT} where t.day > kept.first_month + 1) t
                full join (
                    select e.tenant_id, e.meter_id, e.day, count(*) as events, coalesce(sum(e.value), 0) as summed,
                           max(e.value) as highest
                      from billing_usageevent e cross join {KEPT}
                     where {COUNTED} and e.day > kept.first_month + 1
                     group by e.tenant_id, e.meter_id, e.day) r using (tenant_id, meter_id, day)) d
          {OF_THE_DAY}
         where (coalesce(d.count, 0), coalesce(d.total, 0), d.maximum)
               is distinct from (coalesce(d.events, 0), coalesce(d.summed, 0), d.highest)
        """,
    ),
    Rule(
        "usage totals",
        DAY,
        _("The last value is said to be %(stated)s, by the events it is %(reckoned)s."),
        f"""
        select {NAMED_DAY}, trim_scale(d.last_value) as stated, trim_scale(d.value) as reckoned
          from (select * from (
                    select t.* from billing_usagetotal t join billing_meter m on m.id = t.meter_id
                     cross join {KEPT} where m.aggregation = 'last' and t.day > kept.first_month + 1) t
                left join (
                    select distinct on (e.tenant_id, e.meter_id, e.day)
                           e.tenant_id, e.meter_id, e.day, e.occurred_at, k.key, e.value
                      from billing_usageevent e join billing_meter m on m.id = e.meter_id and m.aggregation = 'last'
                      join billing_usagekey k on k.id = e.id
                     where {COUNTED}
                     order by e.tenant_id, e.meter_id, e.day, e.occurred_at desc, k.key collate "C" desc, e.value desc
                    ) r using (tenant_id, meter_id, day)) d
          {OF_THE_DAY}
         where (d.last_at, d.last_key, d.last_value) is distinct from (d.occurred_at, coalesce(d.key, ''), d.value)
        """,
    ),
    Rule(
        "usage taken back",
        EVENT,
        _("It and the event that takes it back do not name each other."),
        f"""
        select {NAMED} from {KEYS} join billing_usageevent e on e.id = k.id and e.occurred_at = k.occurred_at
          left join billing_usagekey b on b.reverses_id = k.id
         where e.reversed_by_id is distinct from b.id
            or (e.reverses_key <> '') <> (k.reverses_id is not null)
        """,
    ),
)
