"""Compare the engine with folders of cases: exit 0 when nothing is different, 1 when something is, 2 without cases."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.conformance import adapters  # noqa: F401 - marks the adapters
from tests.conformance.comparing import Difference
from tests.conformance.reading import read
from tests.conformance.running import Outcome, Result, run


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="holds *.jsonl files of cases")
    parser.add_argument("--brief", action="store_true", help="counts alone")
    options = parser.parse_args(arguments)
    results: list[Result] = []
    for folder in options.folders:
        if not folder.is_dir():
            print(f"{folder}: no such folder", file=sys.stderr)
            return 2
        found = [run(case) for case in read(folder)]
        if not found:
            print(f"{folder}: no cases (*.jsonl)", file=sys.stderr)
            return 2
        print(f"{folder}: {len(found)} cases")
        for line in told(found, brief=options.brief):
            print(line)
        print()
        results += found
    counts = Counter(result.outcome for result in results)
    print(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))
    return 1 if counts[Outcome.DIFFERENT] else 0


def told(results: Sequence[Result], *, brief: bool = False) -> Iterator[str]:
    """Per topic and kind how many came out how, and each case that is not equal with both figures."""
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        groups[(result.case.topic, result.case.kind) if result.case else ("unread", "")].append(result)
    for (topic, kind), members in groups.items():
        counts = Counter(result.outcome for result in members)
        figures = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
        yield f"  {topic}{f' / {kind}' if kind else ''}: {figures}"
        for result in members if not brief else ():
            if result.outcome is Outcome.EQUAL:
                continue
            name = f"{result.case.id} " if result.case else ""
            yield f"    {result.outcome}: {name}({result.place})"
            if result.reason:
                yield f"      {result.reason}"
            elif result.case and result.case.note:
                yield f"      {result.case.note}"
            for difference in result.differences:
                yield f"      {_told(difference)}"


def _told(difference: Difference) -> str:
    return f"{difference.path}: theirs {_figure(difference.theirs)}, ours {_figure(difference.ours)}"


def _figure(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_figure(one)}" for name, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_figure, value)) + "]"
    return str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
