"""Attribune: a neutral, self-hosted mobile measurement partner.

It says which click or impression led to an install and to everything after it, and can prove each answer.
"""

__version__ = "0.1.0"
