"""A delivery's last attempt stands with it, so that what is told at once needs no second row; and an index has only what no other finds."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Attempts until now stay where they are."""
    for name, kind in (
        ("at_ms", sa.BigInteger),
        ("took_ms", sa.Integer),
        ("status", sa.SmallInteger),
        ("error", sa.Text),
        ("answer", sa.Text),
        ("state", sa.SmallInteger),
        ("reason", sa.Text),
    ):
        op.add_column("deliveries", sa.Column(f"last_{name}", kind))
    # What is told is mostly its own subject, and by that it is found.
    op.drop_index("deliveries_outcome", "deliveries")
    is_no_subject = sa.text("outcome_id <> subject")
    op.create_index(
        "deliveries_outcome",
        "deliveries",
        ["outcome_id"],
        sqlite_where=is_no_subject,
        postgresql_where=is_no_subject,
    )
