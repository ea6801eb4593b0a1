"""Roles over the engines of a folder."""

# ruff: noqa: PLC0415 - an import inside a function is there so that only who needs an engine pays for it

from __future__ import annotations

from typing import TYPE_CHECKING

from attribune.registry.view import Registry
from attribune.wire.parts import Parts

if TYPE_CHECKING:
    from attribune.attribute.turn import Limits
    from attribune.record.facts import Lookups
    from attribune.roles.attributor import AttributorRole
    from attribune.roles.base import Role
    from attribune.roles.bookkeeper import BookkeeperRole
    from attribune.roles.postbacker import PostbackerRole
    from attribune.roles.recorder import RecorderRole
    from attribune.roles.registrar import RegistrarRole


def limits(parts: Parts) -> Limits:
    """The settings that judging heeds."""
    from attribune.attribute.turn import Limits

    settings = parts.settings
    return Limits(
        record_memory_ms=settings.record_memory_ms,
        held_events_max=settings.held_events_max,
        candidates_max=settings.candidates_max,
        touch_memory_ms=settings.touch_memory_ms,
    )


def attributor(parts: Parts) -> AttributorRole:
    """The attributor over the engines of a folder. Its view of the registry begins empty and goes on in order."""
    from attribune.attribute.attributor import Attributor
    from attribune.collect.links import read_touch
    from attribune.roles.attributor import AttributorRole

    registry = Registry()
    return AttributorRole(
        parts.journal,
        registry,
        Attributor(registry, parts.store, parts.enricher, read_touch, limits(parts)),
        parts.answers,
        parts.clock,
        parts.settings,
    )


def recorder(parts: Parts) -> RecorderRole:
    """The recorder over the engines of a folder, with a view of the registry of its own."""
    from attribune.roles.recorder import RecorderRole

    registry = Registry()
    return RecorderRole(
        parts.journal, parts.facts, registry, lookups(parts, registry), parts.settings
    )


def lookups(parts: Parts, registry: Registry) -> Lookups:
    """What fact rows are made with, seen through a view of the registry."""
    from attribune.collect.links import read_touch
    from attribune.roles.recorder import lookups_for

    return lookups_for(parts.journal, registry, parts.enricher, read_touch, parts.settings)


def registrar(parts: Parts) -> RegistrarRole:
    """The registrar over the engines of a folder."""
    from attribune.roles.registrar import RegistrarRole

    return RegistrarRole(
        parts.journal, lambda: parts.registry_store(is_reader=False), parts.settings
    )


def postbacker(parts: Parts) -> PostbackerRole:
    """The postbacker over the engines of a folder, with a view of the registry of its own."""
    from attribune.collect.links import read_touch
    from attribune.roles.postbacker import PostbackerRole, World

    world = World(
        journal=parts.journal,
        registry=Registry(),
        outbox=parts.outbox,
        vault=parts.vault,
        read_touch=read_touch,
        clock=parts.clock,
        chance=parts.chance,
    )
    return PostbackerRole(world, parts.settings)


def bookkeeper(parts: Parts) -> BookkeeperRole:
    """The bookkeeper over the engines of a folder."""
    from attribune.roles.bookkeeper import BookkeeperRole

    return BookkeeperRole(
        parts.journal, lambda: parts.book(is_reader=False), parts.clock, parts.settings
    )


def collector(parts: Parts, name: str) -> Role:
    """A collector, with a view of the registry that it keeps up to date by itself."""
    from attribune.collect.means import Ways
    from attribune.registry.targets import resolve
    from attribune.roles.collector import CollectorRole
    from attribune.wire.urls import base_url

    return CollectorRole(
        name=name,
        journal=parts.journal,
        registry=parts.registry(),
        answers=parts.answers,
        clock=parts.clock,
        chance=parts.chance,
        settings=parts.settings,
        ways=Ways(resolve, parts.vault.unseal, base_url(parts)),
    )
