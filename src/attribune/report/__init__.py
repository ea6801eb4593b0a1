"""Room five: what happened. Metrics and dimensions defined once, reports, the story of a handle, and the audit.

``metrics`` and ``dimensions`` are tables; ``query`` asks the facts; ``explain`` follows a handle to its stories and
``told`` shows them to people; ``audit`` checks that the numbers of a whole folder add up.
"""
