"""`assay up` without what it does first, which takes ten seconds and has tests of its own: preparing the host."""

import click

from web import together
from web.settings import PortalSettings
from web.workers import log_in_lines


def main() -> None:
    log_in_lines()
    together.run(PortalSettings(port=0), bool, lambda line: click.echo(line, err=True), click.echo)


if __name__ == "__main__":
    main()
