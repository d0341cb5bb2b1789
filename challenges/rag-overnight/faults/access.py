"""What can be wrong with who may read what.

FAULTS          ACL-1 and ACL-2
"""

from typing import Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

ACL: Final = "ragdesk/ingest/acl.py"

PREFIX: Final = Fault(
    key="ACL-1",
    stage="access",
    title="Tenants are told apart by how their names begin",
    level=2,
    complaints=(
        "We belong to nobody else, our names only look alike. Why does \"{question}\" list documents of that other"
        " company among its sources? The answer was: {answer}",
        "I see agreements in the sources that are not ours. Asked: {question} Told: {answer} Does anybody see ours?",
        "Please explain why one of your other customers comes up when my people ask. {question} - {answer}",
    ),
    detectors=(("noleak", 0.5),),
    excludes=("ACL-2",),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    ACL,
                    "    if access.tenant != user.tenant:\n",
                    "    if not user.tenant.startswith(access.tenant):\n",
                ),
            ),
            locations=(ACL, f"{ACL}:may_read", "tenant comparison", "tenant prefix"),
            commit=Commit(
                Author.OWEN,
                "Let people of a customer's sites read what is the customer's",
                "The portal sends \"customer/site\" for those who work at a site, and they saw nothing but public"
                " documents.",
                beside=(
                    Edit(
                        ACL,
                        '    """Whether a document of this access may be shown to the user."""',
                        '    """Whether a document of this access may be shown to the user, wherever they work."""',
                    ),
                ),
            ),
        ),
    ),
)  # fmt: skip

OWNERLESS: Final = Fault(
    key="ACL-2",
    stage="access",
    title="What has no tenant in its ACL row, or no row, is everybody's",
    level=2,
    complaints=(
        "A paper that was never meant to leave the house is cited to me. {question} {answer} Who else has seen it?",
        "I was shown terms that nobody has signed. \"{question}\" - \"{answer}\"",
        "Among the sources there is a document of another company. I had asked: {question} Reply: {answer}",
    ),
    detectors=(("noleak", 0.5), ("forbidden", 0.2)),
    excludes=("ACL-1",),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(ACL, "    return acl.get(doc_id)\n", "    return acl.get(doc_id, Access(PUBLIC, ()))\n"),
            ),
            locations=(ACL, f"{ACL}:access_of", "acl.jsonl", "missing acl row"),
            commit=Commit(
                Author.LENA,
                "Show new manuals on the day on which they come",
                "The directory writes their rows in the morning only, and until then nobody found them.",
                beside=(
                    Edit(
                        ACL,
                        '    """The rows of acl.jsonl by document."""',
                        '    """The rows of acl.jsonl by document; of two for one the later counts."""',
                    ),
                ),
            ),
        ),
        Variant(
            kind=Kind.FEED,
            dialect="org-acl",
            edits=(
                Edit(
                    ACL,
                    '    tenant = row.get("tenant", PUBLIC)\n',
                    "    # The directory calls it an org by now. A row that names neither is an error.\n"
                    '    tenant = row["tenant"] if "tenant" in row else row["org"]\n',
                ),
            ),
            locations=(ACL, f"{ACL}:_access", f"{ACL}:read_acl", "acl.jsonl"),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (PREFIX, OWNERLESS)
