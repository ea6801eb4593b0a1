"""Roles: what runs for as long as the house does, and the supervisor that keeps them running."""
