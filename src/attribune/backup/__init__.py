"""Backup and restore: a consistent copy of what cannot be made again, and the way back.

The journal is the truth, so a backup is the journal's segments and the settings. Views (registry, store, answers, facts) are
made again from it. A backup reads the journal's files itself, beside whoever serves the folder.
"""
