"""The registry's tables as they came to be, run by Alembic when the writer opens them. Append-only."""
