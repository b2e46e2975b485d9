"""A small conformance run on real kernels, where QEMU and a kernel are there."""

from __future__ import annotations

import pytest

from fuzz.overlay import load_model
from tools.lab.conform.compare import Verdict
from tools.lab.conform.draw import random_cases
from tools.lab.conform.limits import shipped_limits
from tools.lab.conform.observe import profile_of
from tools.lab.conform.session import Session, able
from tools.lab.errors import MissingError
from tools.lab.kernels import find_kernel
from tools.lab.lab import Lab

PROGRAMS = 40


@pytest.mark.slow
@pytest.mark.parametrize("mmu", ["tdp", "direct", "shadow"])
def test_the_stock_model_says_what_a_stock_kernel_does(mmu: str) -> None:
    try:
        kernel = find_kernel("7.2")
        lab = Lab(kernel, mmu)
    except MissingError as error:
        pytest.skip(str(error))
    profile = profile_of(kernel.release, mmu)
    session = Session(lab, load_model("stock"), profile, shipped_limits(), shrinks=False)
    differ = session.run(list(random_cases(99, PROGRAMS, profile, able())))
    assert differ == []
    assert session.tally.programs == PROGRAMS
    assert session.tally.total(Verdict.SAME) > 50 * PROGRAMS
