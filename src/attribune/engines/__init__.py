"""Engines: what the ports are plugged into. Each fits one port and knows one driver.

Memory twins ship with the package; the embedded engines are LMDB (journal, answers), RocksDB (store), SQL (registry)
and chDB (facts). Only ``wire`` chooses between them.
"""
