"""What can go wrong between a person and the portal, beside what Flask itself answers."""


class PortalError(Exception):
    """The root of what the portal's own parts raise for somebody to read."""


class SubmissionRejected(PortalError):
    """What a candidate sent cannot be taken. Nothing was stored; the sentence says what to change, and it is shown."""


class Refused(PortalError):
    """What a person asked for does not fit what is there: it was decided already, or it still runs."""


def one_line(said: str) -> str:
    """What may quote a stranger, as one line that moves no cursor."""
    return "".join(sign if sign.isprintable() else " | " if sign == "\n" else " " for sign in said)
