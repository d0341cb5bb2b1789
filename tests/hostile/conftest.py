"""Hostile programs use the same rooms as the tests of the promise, and the same check afterwards."""

from tests.sandbox.conftest import docker_sandbox, engine, kind, sandbox, settings

__all__ = ["docker_sandbox", "engine", "kind", "sandbox", "settings"]
