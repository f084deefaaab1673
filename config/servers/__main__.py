"""start, stop, status or supervise, without Django: works while the rest of the code does not."""

import argparse
import os
import sys

from config import env, servers
from tenants.errors import OperatorError


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m config.servers", description=__doc__)
    parser.add_argument("action", choices=["start", "stop", "status", "supervise"])
    parser.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    home = env.home()
    try:
        if options.action == "start":
            servers.ensure(home, env.embedded())
        elif options.action == "stop":
            servers.stop(home)
        elif options.action == "status":
            seen = servers.status(home)
            print(f"{home}: {', '.join(sorted(seen.ready)) if seen.pid else 'not running'}")
        else:
            if options.detached and os.fork():
                os._exit(0)  # the caller need not wait for us, nor anybody for a zombie
            servers.supervise(home, detached=options.detached)
    except OperatorError as refusal:
        sys.exit(str(refusal))


main()
