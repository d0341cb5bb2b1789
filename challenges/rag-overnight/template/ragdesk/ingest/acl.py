"""Who may read which document.

A document without a row in acl.jsonl belongs to nobody: it is a draft, and not shown to anyone. "public" is everybody.
"""

import json

from ..records import PUBLIC, Access, User


def read_acl(text: str) -> dict[str, Access]:
    """The rows of acl.jsonl by document."""
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return {str(row["doc_id"]): _access(row) for row in rows}


def _access(row: dict[str, object]) -> Access:
    tenant = row.get("tenant", PUBLIC)
    roles = row.get("roles") or ()
    return Access(str(tenant), tuple(sorted(map(str, roles))) if isinstance(roles, list) else ())


def access_of(doc_id: str, acl: dict[str, Access]) -> Access | None:
    return acl.get(doc_id)


def may_read(user: User, access: Access) -> bool:
    """Whether a document of this access may be shown to the user."""
    if access.tenant == PUBLIC:
        return True
    if access.tenant != user.tenant:
        return False
    return not access.roles or not set(access.roles).isdisjoint(user.roles)
