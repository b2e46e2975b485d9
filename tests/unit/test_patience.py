"""Waiting for room on the disk: what is waited for, who is told, and how it ends."""

from __future__ import annotations

import errno
import os

import pytest

from tools.campaign.patience import AGAIN_AFTER, patiently, whatever_it_is


class Write:
    """A write that fails so many times, each time for this reason."""

    def __init__(self, number: int, times: int) -> None:
        self.number = number
        self.times = times

    def __call__(self) -> str:
        if self.times:
            self.times -= 1
            raise OSError(self.number, os.strerror(self.number), "a/file")
        return "written"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_waited_for_and_nothing_is_lost(number: int) -> None:
    told: list[OSError] = []
    slept: list[float] = []
    assert patiently(Write(number, times=3), slept.append, told.append) == "written"
    assert [error.errno for error in told] == [number] * 3
    assert slept == [AGAIN_AFTER] * 3


def test_another_error_is_raised_unless_it_is_to_be_waited_for() -> None:
    slept: list[float] = []
    with pytest.raises(PermissionError):
        patiently(Write(errno.EACCES, times=1), slept.append)
    assert slept == []
    write = Write(errno.EACCES, times=1)
    assert patiently(write, slept.append, waits_for=whatever_it_is) == "written"
    assert len(slept) == 1


def test_one_line_says_what_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    patiently(Write(errno.ENOSPC, times=3), lambda _: None)
    assert capsys.readouterr().err == ("a/file: No space left on device; free some space, I wait\n")


def test_who_is_told_may_end_the_wait() -> None:
    class EnoughError(Exception):
        pass

    def stop(error: OSError) -> None:
        raise EnoughError

    slept: list[float] = []
    with pytest.raises(EnoughError):
        patiently(Write(errno.ENOSPC, times=3), slept.append, stop)
    assert slept == []
