"""Who earns this? Windows, matching, rank, decision, life cycle: arguments in, outcomes out.

The room is pure: it sees the journal's entries in order, the registry as of their place and a store handed to it, and
never a clock, chance or socket. So whoever reads the same journal writes the same outcomes.
"""
