"""The append-only truth as the rest of the house uses it: the buffer in which requests share a commit.

The engines that keep it are in ``engines``, what its entries look like in ``model.codec``.
"""
