"""The addresses under /api, one file per noun."""
