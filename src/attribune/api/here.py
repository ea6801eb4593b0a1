"""How a handler asks for the house."""

from __future__ import annotations

from litestar.di import NamedDependency

from attribune.api.house import House

#: The house that the application was created for.
Here = NamedDependency[House]
