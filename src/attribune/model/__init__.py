"""The nouns of Attribune: touch, activity, outcome, control, money, ids, reasons.

Nothing in this room can do anything: no clock, no chance, no socket, no file. Everything is a frozen record or a
pure function over records, and every other room may import it.
"""
