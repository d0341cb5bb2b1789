"""Commands that invite candidates, and give them another link."""

from typing import Final

import click

from web import invitations
from web.portal import Portal, assemble
from web.settings import DatabaseSettings, PortalSettings
from web.speech import LOCALES

ACTOR: Final = "operator"


@click.command()
@click.argument("role")
@click.argument("challenge")
@click.argument("email")
@click.option("--name", required=True, help="The candidate's, as they are greeted.")
@click.option("--extra-time", default=1.0, show_default=True, help="An accommodation: times the challenge's minutes.")
@click.option("--days", default=30, show_default=True, help="Days in which it has to be started.")
@click.option("--contact", default="", help="Whom the candidate may ask: a name and an address.")
@click.option("--language", type=click.Choice(list(LOCALES)), default="en", show_default=True)
@click.option("--no-feedback", is_flag=True, help="Do not show the candidate what each criterion earned.")
def invite(
    role: str,
    challenge: str,
    email: str,
    name: str,
    extra_time: float,
    days: int,
    contact: str,
    language: str,
    no_feedback: bool,
) -> None:
    """Invite EMAIL to an attempt at CHALLENGE for the role of this title; print the link, and send it by e-mail.

    The link is for the first browser that opens it. Anybody else, and the candidate's other devices, need a code that
    is sent to EMAIL.
    """
    wish = invitations.Wish(role, challenge, email, name, extra_time, days, contact, language, not no_feedback)
    portal = _portal()
    with portal.database.transaction() as session:
        invitation = invitations.invite(session, portal, _address(portal), wish, ACTOR)
        attempt = invitation.attempt.id
    click.echo(invitation.url)
    click.echo(f"assay: attempt {attempt}: a letter with this link goes to {email}", err=True)


@click.command()
@click.argument("attempt")
@click.option("--revoke", is_flag=True, help="End the links from before, and sign out who came in by them.")
def link(attempt: str, revoke: bool) -> None:
    """Give the candidate of ATTEMPT another link; print it, and send it by e-mail. Work and clock stay as they are."""
    portal = _portal()
    with portal.database.transaction() as session:
        invitation = invitations.renew(session, portal, _address(portal), attempt, ACTOR, revoke=revoke)
    click.echo(invitation.url)
    click.echo("assay: a letter with this link goes to the candidate", err=True)


def _portal() -> Portal:
    return assemble(PortalSettings(), DatabaseSettings())


def _address(portal: Portal) -> str:
    """Where people find the portal; unless ASSAY_PUBLIC_URL says it, where it listens on this machine."""
    settings = portal.settings
    if not settings.public_url:
        click.echo("assay: ASSAY_PUBLIC_URL is not set: the link is good on this machine only", err=True)
    return settings.public_url or f"http://{settings.host}:{settings.port}"


COMMANDS: Final = (invite, link)
