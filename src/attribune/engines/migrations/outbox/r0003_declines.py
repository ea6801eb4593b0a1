"""How often in a row a partner said no to a delivery that it may take later."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Begin at 0: until now such a no was final."""
    op.add_column(
        "deliveries", sa.Column("declines", sa.Integer, nullable=False, server_default="0")
    )
