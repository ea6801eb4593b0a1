"""Doors without records: health, readiness, and the pages by which phones know our links for an app's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from attribune.collect.means import Means
from attribune.collect.request import Answer, json_answer
from attribune.model.activity import Platform
from attribune.model.control import App

#: How long a collector that could not keep something says so; the counters say it for good.
DEGRADED_MS: Final = 60_000


def health(means: Means, *, is_draining: bool) -> Answer:
    """``/healthz``: the process lives. What could not be kept shows here and does not stop it."""
    counters = means.counters
    lost_at_ms = means.loss.at_ms
    lost = lost_at_ms is not None and means.clock.now_ms() - lost_at_ms < DEGRADED_MS
    return json_answer(
        {
            "status": "draining" if is_draining else "degraded" if lost else "ok",
            "journal_failures": counters.journal_failures,
            "clicks_not_kept": counters.clicks_not_kept,
            "refusals_not_kept": counters.refusals_not_kept,
            "faults": counters.faults,
        }
    )


def readiness(*, is_draining: bool) -> Answer:
    """``/readyz``: 200 while requests are welcome, 503 once the collector is stopping."""
    if is_draining:
        return json_answer({"status": "draining"}, 503)
    return json_answer({"status": "ready"})


def apple_app_site_association(apps: Iterable[App]) -> Answer:
    """The page by which iOS opens our links in the app that they advertise.

    Apple's agent takes no redirect and wants JSON (developer.apple.com, Supporting associated domains). An app is named by
    team and bundle; one that is registered with its App Store number needs both in ``apple_team_id``.
    """
    ids = [id_ for app in apps if app.platform is Platform.IOS and (id_ := _apple_app_id(app))]
    components = [{"/": "/c/*", "comment": "tracking links"}]
    details = [{"appIDs": ids, "components": components}] if ids else []
    return _page({"applinks": {"details": details}})


def _apple_app_id(app: App) -> str | None:
    if app.apple_team_id is None:
        return None
    if "." in app.apple_team_id:
        return app.apple_team_id
    return None if app.store_id.isdigit() else f"{app.apple_team_id}.{app.store_id}"


def asset_links(apps: Iterable[App]) -> Answer:
    """The page by which Android opens our links in the app (developer.android.com, Verify App Links)."""
    return _page(
        [
            {
                "relation": ["delegate_permission/common.handle_all_urls"],
                "target": {
                    "namespace": "android_app",
                    "package_name": app.store_id,
                    "sha256_cert_fingerprints": list(app.sha256_cert_fingerprints),
                },
            }
            for app in apps
            if app.platform is Platform.ANDROID and app.sha256_cert_fingerprints
        ]
    )


def _page(body: Any) -> Answer:
    answer = json_answer(body)
    headers = [("content-type", "application/json"), ("cache-control", "public, max-age=3600")]
    return Answer(headers=headers, body=answer.body)
