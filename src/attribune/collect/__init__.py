"""The front door: hears what ads, apps and servers say, keeps it in the journal, and answers.

Pure parts (``words``, ``absent``, ``links``, ``targets``, ``fields``, ``records``, ``native``, ``dialects``) read what was
said; the doors around them (``redirect``, ``posted``, ``inlet``, ``asking``, ``plain``) speak HTTP; ``app`` is the way in.
"""
