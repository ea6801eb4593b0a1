"""Looks at a machine, a data folder, its settings and the house that serves it, and says what must be done.

Nothing here changes anything: no folder is made, no lock is kept, no engine is opened for writing.
"""
