"""Each SQL view's tables as they came to be, a folder a view, run by Alembic when the writer opens them. Append-only."""
