"""Fewer pages for each delivery: attempts by their delivery's number, and in an index only the rows that no other finds."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Take over every attempt. Numbers rise as deliveries are planned, so what is kept together is written together."""
    op.rename_table("attempts", "attempts_by_id")
    op.create_table(
        "attempts",
        sa.Column("delivery", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("took_ms", sa.Integer, nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("error", sa.Text),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.Text),
    )
    op.execute(
        "INSERT INTO attempts SELECT d.number, a.number, a.at_ms, a.took_ms, a.status, a.error, a.answer, a.state, a.reason"
        " FROM deliveries d JOIN attempts_by_id a ON a.delivery = d.id ORDER BY d.number, a.number"
    )
    op.drop_table("attempts_by_id")
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
