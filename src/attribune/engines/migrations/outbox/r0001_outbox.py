"""What partners are to be told, every attempt to, and what the plan remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    _deliveries()
    op.create_table(
        "attempts",
        sa.Column("delivery", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("took_ms", sa.Integer, nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("error", sa.Text),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "conversions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "transactions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("place", sa.BigInteger, nullable=False),
    )
    op.create_table("not_sharing", sa.Column("digest", sa.LargeBinary, primary_key=True))
    op.create_table(
        "outbox_position",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("postback", sa.Text, nullable=False),
        sa.Column("partner", sa.Text, nullable=False),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("device", sa.Text),
        sa.Column("outcome_id", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("copy", sa.SmallInteger, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("undoes", sa.BigInteger),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at_ms", sa.BigInteger, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("poll_url", sa.Text),
        sa.Column("method", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("body", sa.Text),
    )
    for name, columns in (
        ("due", ["postback", "state", "due_at_ms", "number"]),
        ("subject", ["subject", "postback"]),
        ("outcome", ["outcome_id"]),
        ("partner", ["partner", "number"]),
    ):
        op.create_index(f"deliveries_{name}", "deliveries", columns)
    op.create_index("deliveries_id", "deliveries", ["id"], unique=True)
    is_waiting = sa.text("state = 0")
    op.create_index(
        "deliveries_device",
        "deliveries",
        ["postback", "device", "number"],
        sqlite_where=is_waiting,
        postgresql_where=is_waiting,
    )
