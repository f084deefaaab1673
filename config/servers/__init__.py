"""The database and the broker that a single machine needs: PostgreSQL and Valkey from wheels, kept by a supervisor.

``ensure(home, needed)`` starts what does not run and returns when it answers; ``stop(home)`` ends it;
``python -m config.servers start`` and ``stop`` do the same by hand.
Used only where the environment names no servers of its own (``config.env.embedded``).
"""

from config.servers.plan import ServerError
from config.servers.supervisor import ALL, Status, ensure, status, stop, supervise

__all__ = ["ALL", "ServerError", "Status", "ensure", "status", "stop", "supervise"]
