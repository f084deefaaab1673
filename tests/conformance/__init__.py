"""The engine against the published figures of other systems: ``python -m tests.conformance FOLDER...``.

A folder holds cases, one JSON object a line: a ``kind``, what is ``given`` and what others ``expect``. An adapter per
kind translates the words of a case into calls of the kernels; it reckons nothing itself. ``docs/conventions.md`` says
where we decide otherwise than others, and why.
"""
