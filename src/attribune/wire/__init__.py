"""Settings → engines → rooms → roles: the only place that knows what is plugged into what.

Engines are imported where they are opened, so that a collector never loads the facts and a command that asks a serving
house loads none of them.
"""

from attribune.roles.folder import ADMIN_SOCKET
from attribune.wire.houses import offline, remove_views, standing
from attribune.wire.serving import Serving, run_role, serve

__all__ = ["ADMIN_SOCKET", "Serving", "offline", "remove_views", "run_role", "serve", "standing"]
