"""The head of a range's chain is that of its last document; any other would break the chain for all that follow."""

from importlib import import_module

from django.db import migrations

before = import_module("invoicing.migrations.0008_numbers_are_given_once").AFTER
FUNCTION = before[before.index("create or replace function kontor_numbers_go_up") :]
FUNCTION = FUNCTION[: FUNCTION.index("end $$;") + len("end $$;")]

HEAD = """
    if new.chain_head <> coalesce((select chain_hash from invoicing_invoice
                                    where range_id = old.id and sequence = new.next_number - 1), '') then
        raise exception 'the head of number range % is no document''s', old.prefix using errcode = 'KO001';
    end if;
    return new;
end $$;"""


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0027_letters_look_as_their_issuer_wants")]

    operations = [
        migrations.RunSQL(FUNCTION.replace("\n    return new;\nend $$;", HEAD), FUNCTION),
    ]
