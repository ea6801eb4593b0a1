"""The few verbs that Attribune needs from the world.

Each port has a twin in memory (``engines/memory.py``) and an embedded engine; one contract suite runs on both. Ports of
the hot way take batches and are synchronous: async only at the sockets.
"""

from __future__ import annotations

from attribune.model.agent import UserAgent
from attribune.ports.book import Book, BookWrites, KeptLine, LinesWanted, Moved, Taken
from attribune.ports.journal import NOW, Chance, Clock, Journal, Sink
from attribune.ports.knowing import Directory, Enricher
from attribune.ports.telling import Outbox, Vault
from attribune.ports.views import Answers, Facts, RegistryStore, Row, Store

__all__ = [
    "NOW",
    "Answers",
    "Book",
    "BookWrites",
    "Chance",
    "Clock",
    "Directory",
    "Enricher",
    "Facts",
    "Journal",
    "KeptLine",
    "LinesWanted",
    "Moved",
    "Outbox",
    "RegistryStore",
    "Row",
    "Sink",
    "Store",
    "Taken",
    "UserAgent",
    "Vault",
]
