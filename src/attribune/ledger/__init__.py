"""What partners are owed: offers, the book, statements, payouts. Pure: time, ids and what is remembered come in as arguments."""
