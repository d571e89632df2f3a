"""The health of one controller's session, together with its exposition text."""

from msgspec.structs import replace

from monitor.avi.link import Link
from monitor.metrics import render
from monitor.metrics.controller import SESSION_FAMILIES
from monitor.model.health import SessionHealth


class RenderedSessionHealth:
    """``pieces``: one for each family of `SESSION_FAMILIES`, rendered again when what the family shows has changed."""

    def __init__(self, controller: str, health: SessionHealth) -> None:
        self._controller = controller
        self.health = health
        self.pieces = render.render_health(SESSION_FAMILIES, (controller,), health)

    def update(self, health: SessionHealth, link: Link) -> None:
        """Set the health, complete it with what the client knows of the Controller, and update the pieces."""
        health = replace(
            health,
            version=link.version,
            api_version=link.api_version,
            logins=link.logins,
            certificate_expires_at=link.certificate_expires_at,
            clock_ahead_s=link.clock_ahead_s,
        )
        before = self.health, self.pieces
        self.health, self.pieces = health, render.render_changes(SESSION_FAMILIES, (self._controller,), before, health)
