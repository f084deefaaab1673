"""Imports in two steps: ``offer`` lays a file's rows down and says what each would change; ``apply`` does just that.

A file is laid down row by row (COPY, 2,000 at a time), judged chunk by chunk against what is stored, and applied in one
transaction, all of it or nothing; with ``skip_bad`` its good rows. Memory does not grow with the file. What an import
knows about its records stands in a ``Recipe``: the columns, how a chunk is judged, how judged rows are written.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import translation
from django.utils.translation import gettext, ngettext

from tenants import tabular
from tenants.copying import analyse
from tenants.errors import OperatorError
from tenants.import_rows import (
    CHANGED,
    CHUNK,
    ERROR,
    NEW,
    Recipe,
    chunked,
    counted,
    errors_of,
    insert,
    laid_down,
    refuse_repeated,
    staged_chunks,
    store_verdicts,
)
from tenants.models import Activity, ImportBatch, ImportRow, Issuer
from tenants.tabular import UNDECLARED, Declared, Reading
from tenants.transactions import acting

IMPORT_LOCK = 7_004


class RowsRefused(OperatorError):
    """Rows of the file cannot be taken, so nothing of it was."""


class Outdated(OperatorError):
    """What the rows would change is no longer what was shown."""


class Busy(OperatorError):
    """Another import is being taken in."""


def offer(
    recipe: Recipe,
    file: BinaryIO,
    *,
    file_name: str,
    declared: Declared = UNDECLARED,
    issuer: Issuer | None = None,
    skip_bad: bool = False,
    by: Any = None,
) -> ImportBatch:
    """Lay the file down and judge every row; none of its records changes yet. Raises ``tabular.FileRefused``."""
    batch = keep(recipe, file, file_name=file_name, declared=declared, issuer=issuer, skip_bad=skip_bad, by=by)
    look(recipe, batch)
    return batch


def keep(
    recipe: Recipe,
    file: BinaryIO,
    *,
    file_name: str,
    declared: Declared = UNDECLARED,
    issuer: Issuer | None = None,
    skip_bad: bool = False,
    by: Any = None,
) -> ImportBatch:
    """Store the file and how it is to be read; its rows are still to be looked at."""
    proposal = tabular.propose(file, recipe.columns, declared)
    path, sha256 = store(file)
    return ImportBatch.objects.create(
        kind=recipe.kind,
        issuer=issuer,
        file_name=Path(file_name).name[:250],
        path=path,
        sha256=sha256,
        reading=asdict(proposal.reading) | {"unknown_columns": list(proposal.unknown_columns)},
        skip_bad=skip_bad,
        counts={"rows": proposal.rows},
        created_by=by,
    )


def look(recipe: Recipe, batch: ImportBatch) -> None:
    """Lay the rows of a kept file down and say of each what it would change. A second look begins anew.

    Rows are laid down in transactions of their own, so that a page can show how far it is; compared they are in one.
    Where another worker began anew meanwhile, this one leaves it to him.
    """
    with transaction.atomic():
        locked(batch)
        batch.rows.all().delete()
        note(batch, rows=batch.counts["rows"], laid=0)
    laid = 0
    with kept_file(batch).open("rb") as file:
        for chunk in chunked(tabular.read(file, reading_of(batch), recipe.columns), CHUNK):
            with transaction.atomic():
                if locked(batch).counts.get("laid") != laid:
                    return
                insert(ImportRow, [laid_down(batch, recipe, row) for row in chunk])
                laid += len(chunk)
                note(batch, rows=batch.counts["rows"], laid=laid)
    with transaction.atomic():
        if locked(batch).counts.get("laid") == laid:
            compare(recipe, batch)


def compare(recipe: Recipe, batch: ImportBatch) -> None:
    if recipe.unique:
        refuse_repeated(recipe, batch)
    recipe.laid(batch)
    for chunk in staged_chunks(recipe, batch):
        store_verdicts(batch, recipe.judge(batch, chunk))
    recipe.judged(batch)
    note(batch, **counted(batch))


def locked(batch: ImportBatch) -> ImportBatch:
    return ImportBatch.objects.select_for_update().get(pk=batch.pk)


def note(batch: ImportBatch, **counts: int) -> None:
    batch.counts = counts
    batch.save(update_fields=["counts"])


def is_looked_at(batch: ImportBatch) -> bool:
    """Whether every row has its verdict, so that the batch can be applied."""
    return ERROR in batch.counts


def apply(recipe: Recipe, batch: ImportBatch, *, actor: str, channel: str) -> None:
    """Do what the batch was shown to do, all of it or nothing. Applied once, it stays so: a second call does nothing.

    Raises ``RowsRefused`` if rows are in error and the batch does not skip them, and ``Outdated`` if the records have
    changed since, so that the rows would now do something else; the batch then keeps the reason.
    """
    try:
        apply_all(recipe, batch, actor=actor, channel=channel)
    except (RowsRefused, Outdated) as error:
        refused = ImportBatch.objects.filter(pk=batch.pk).exclude(state=ImportBatch.State.APPLIED)
        refused.update(state=ImportBatch.State.REFUSED, refusal=str(error))
        raise
    if recipe.fills:
        analyse(*recipe.fills, ImportRow, Activity)


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other import is being taken in, and keep others waiting: for who looks and applies in one go."""
    with connection.cursor() as cursor:
        cursor.execute("set lock_timeout = 0")
        cursor.execute("select pg_advisory_lock(%s)", [IMPORT_LOCK])
        cursor.execute("reset lock_timeout")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(%s)", [IMPORT_LOCK])


def take_turn() -> None:
    """One import at a time: two of the same file would both find its rows new. Raises ``Busy``."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_xact_lock(%s)", [IMPORT_LOCK])
        if not cursor.fetchone()[0]:
            raise Busy(gettext("Another import is being taken in; try again in a moment."))


def apply_all(recipe: Recipe, batch: ImportBatch, *, actor: str, channel: str) -> None:
    with acting(actor=actor, channel=channel, reason=batch.file_name):
        batch = locked(batch)
        if batch.state == ImportBatch.State.APPLIED:
            return
        if not is_looked_at(batch):
            raise Outdated(gettext("The file was not compared with what is stored yet."))
        if batch.counts.get(ERROR) and not batch.skip_bad:
            raise RowsRefused(refusal(batch))
        take_turn()
        recipe.begin(batch)
        recipe.laid(batch)
        for chunk in staged_chunks(recipe, batch):
            shown = {
                row.number: row for row in batch.rows.filter(number__gte=chunk[0].number, number__lte=chunk[-1].number)
            }
            verdicts = recipe.judge(batch, chunk)
            for number, verdict in verdicts.items():
                if verdict.errors:
                    raise Outdated(str(verdict.errors[0]))
                if (verdict.state, verdict.difference) != (shown[number].state, shown[number].difference):
                    raise Outdated(
                        gettext("Row %(row)d would no longer do what was shown; look at the difference again.")
                        % {"row": number}
                    )
            changes = [(row, verdicts[row.number]) for row in chunk if verdicts[row.number].state in (NEW, CHANGED)]
            if changes:
                recipe.write(batch, changes)
        recipe.finish(batch)
        batch.counts.pop("applying", None)
        ImportBatch.objects.filter(pk=batch.pk).update(
            state=ImportBatch.State.APPLIED, applied_at=Now(), counts=batch.counts
        )


def look_for(recipes: Mapping[str, Recipe], batch_id: int, *, language: str) -> None:
    """``look``, for a worker, unless that was done; reasons are in the language of the user who waits for them."""
    batch = ImportBatch.objects.get(pk=batch_id)
    if not is_looked_at(batch):
        with translation.override(language):
            look(recipes[batch.kind], batch)


def apply_for(recipes: Mapping[str, Recipe], batch_id: int, user_id: int, *, language: str) -> None:
    """``apply``, for a worker, when its turn has come. A refusal stays with the batch, where the user finds it.

    What fails otherwise leaves the batch as it was shown, so that the user can have it taken in again.
    """
    batch = ImportBatch.objects.get(pk=batch_id)
    actor = get_user_model().objects.get(pk=user_id).get_username()
    try:
        with translation.override(language), alone(), suppress(RowsRefused, Outdated):
            apply(recipes[batch.kind], batch, actor=actor, channel="import")
    except Exception:
        with transaction.atomic():
            batch = locked(batch)
            note(batch, **{name: count for name, count in batch.counts.items() if name != "applying"})
        raise


def refusal(batch: ImportBatch) -> str:
    """Why nothing of the file was taken: the first bad rows in their own words."""
    errors = [str(error) for row in batch.rows.filter(state=ERROR)[:3] for error in errors_of(row)]
    count = batch.counts[ERROR]
    text = ngettext(
        "%(count)d row cannot be taken, so nothing of the file was.",
        "%(count)d rows cannot be taken, so nothing of the file was.",
        count,
    )
    return "\n".join([text % {"count": count}, *errors[:3]])


def reading_of(batch: ImportBatch) -> Reading:
    return Reading(**{name: batch.reading[name] for name in ("encoding", "delimiter", "decimal", "dates")})


# --- the file ---


def store(file: BinaryIO) -> tuple[str, str]:
    """Keep the bytes of an offered file below FILES_ROOT; the same bytes are kept once. Returns path and SHA-256."""
    folder = Path(settings.FILES_ROOT) / "imports"
    Path(settings.FILES_ROOT).mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    file.seek(0)
    descriptor, draft = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as copy:
        while chunk := file.read(tabular.CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    path = folder / f"{digest.hexdigest()}.csv"
    Path(draft).replace(path)
    return f"imports/{path.name}", digest.hexdigest()


def forget(batch: ImportBatch) -> None:
    """Remove the kept file of a batch that is about to be undone, unless another batch is of the same bytes."""
    if not ImportBatch.objects.filter(path=batch.path).exclude(pk=batch.pk).exists():
        kept_file(batch).unlink(missing_ok=True)


def kept_file(batch: ImportBatch) -> Path:
    return Path(settings.FILES_ROOT) / batch.path
