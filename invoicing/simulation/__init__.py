"""What would be invoiced: a scenario of catalog, contracts, dated changes and runs, played by the live stations.

Nothing of it stays, no live row is touched, no live number is taken. The form of a scenario: docs/simulation.md.
"""

from invoicing.simulation.outlook import (
    Compared,
    Expected,
    NotBilled,
    compared,
    next_of_account,
    next_of_contract,
    of_contract,
    of_price,
)
from invoicing.simulation.reading import Node, ScenarioRefused, checked, read
from invoicing.simulation.running import Simulation, simulate
from invoicing.simulation.telling import as_json, as_tables

__all__ = [
    "Compared",
    "Expected",
    "Node",
    "NotBilled",
    "ScenarioRefused",
    "Simulation",
    "as_json",
    "as_tables",
    "checked",
    "compared",
    "next_of_account",
    "next_of_contract",
    "of_contract",
    "of_price",
    "read",
    "simulate",
]
