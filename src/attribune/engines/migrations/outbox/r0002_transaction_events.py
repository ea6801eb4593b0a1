"""Every event that bears a transaction's number, where only the newest one was known."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Take over what is known; the record of such an event is found at its place."""
    op.create_table(
        "transaction_events",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("record", sa.Text, primary_key=True),
        sa.Column("place", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO transaction_events (digest, record, place) SELECT digest, '', place FROM transactions"
    )
    op.drop_table("transactions")
