"""One file per change of the tables; released ones are never edited."""
