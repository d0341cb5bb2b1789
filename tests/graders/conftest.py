"""Graders are tested with the same engine and the same rooms as the sandbox's own promise."""

from tests.sandbox.conftest import docker_sandbox, engine, kind, sandbox, settings

__all__ = ["docker_sandbox", "engine", "kind", "sandbox", "settings"]
