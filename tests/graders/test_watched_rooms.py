"""What is said of every sandbox also holds of a watched one. Here is that part of it that goes through what watches."""

from collections.abc import Iterator

import pytest

from graders.watch import Allowance, Record, WatchedSandbox
from sandbox import Limits, Sandbox
from sandbox.docker import DockerSandbox
from tests.sandbox.test_every_sandbox import (
    test_a_command_that_does_not_exist_is_a_value,
    test_a_gateway_is_reached_through_localhost_and_nothing_else_is,
    test_a_probe_is_given_its_arguments_and_nothing_of_the_candidates,
    test_a_probe_that_fails_is_silent_and_its_complaint_is_kept,
    test_a_program_that_ends_well_is_told_with_its_output,
    test_a_program_that_sleeps_for_ever_is_timed_out,
    test_a_served_program_is_asked_through_a_probe_and_then_stopped,
    test_a_served_program_that_ended_by_itself_tells_how,
    test_after_a_served_program_the_room_is_free_again,
    test_an_error_of_the_caller_takes_the_room_down_too,
    test_files_are_collected_however_the_program_ended,
    test_files_arrive_in_the_programs_working_folder,
    test_programs_of_one_room_share_its_files,
    test_stdin_arrives_as_it_is_and_then_ends,
)

__all__ = [
    "test_a_command_that_does_not_exist_is_a_value",
    "test_a_gateway_is_reached_through_localhost_and_nothing_else_is",
    "test_a_probe_is_given_its_arguments_and_nothing_of_the_candidates",
    "test_a_probe_that_fails_is_silent_and_its_complaint_is_kept",
    "test_a_program_that_ends_well_is_told_with_its_output",
    "test_a_program_that_sleeps_for_ever_is_timed_out",
    "test_a_served_program_is_asked_through_a_probe_and_then_stopped",
    "test_a_served_program_that_ended_by_itself_tells_how",
    "test_after_a_served_program_the_room_is_free_again",
    "test_an_error_of_the_caller_takes_the_room_down_too",
    "test_files_are_collected_however_the_program_ended",
    "test_files_arrive_in_the_programs_working_folder",
    "test_programs_of_one_room_share_its_files",
    "test_stdin_arrives_as_it_is_and_then_ends",
]

pytestmark = pytest.mark.docker


@pytest.fixture
def sandbox(docker_sandbox: DockerSandbox) -> Iterator[Sandbox]:
    """In place of the one in conftest: the same real rooms, watched."""
    allowance = Allowance(120)
    with allowance.running():
        yield WatchedSandbox(docker_sandbox, Limits(seconds=60, memory_mb=512), allowance, Record())
