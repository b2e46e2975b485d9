"""What the patch saves on real kernels, where QEMU, a kernel and its patched modules are there."""

from __future__ import annotations

import pytest

from fuzz.overlay import load_model
from fuzz.port.compiler import NoCompilerError
from tools.lab.conform.observe import profile_of
from tools.lab.errors import LabError, MissingError
from tools.lab.gains.measure import RETRIES, Span, compare, on_kernel
from tools.lab.gains.workloads import GMEM_PAGES, ORDINARY_PAGES, at_once, chosen, in_turns
from tools.lab.kernels import Kernel
from tools.lab.lab import Lab
from tools.lab.plan import PATCHED, STOCK, Request, kernel_for

pytestmark = pytest.mark.slow


def kernel(kind: str) -> Kernel:
    try:
        return kernel_for(Request(), "7.2", kind, "tdp")
    except (MissingError, LabError, NoCompilerError) as error:
        pytest.skip(str(error))


def test_kernels_count_what_the_models_say_stock_and_patched() -> None:
    stock, patched = kernel(STOCK), kernel(PATCHED)
    profile = profile_of(stock.release, "tdp")
    (workload,) = chosen(["munmap"])
    cases = [in_turns(workload, profile), at_once(workload, profile, 3)]
    seen = on_kernel(cases, lambda cpus: Lab(stock, "tdp", cpus=cpus))
    seen_patched = on_kernel(cases, lambda cpus: Lab(patched, "tdp", cpus=cpus))
    rows = compare(cases, seen, seen_patched, (load_model("stock"), load_model("seed")))
    assert [row for row in rows if row.disagreements] == []
    pages = GMEM_PAGES + ORDINARY_PAGES
    assert seen["munmap, in turns"]["pf_fixed"].least > pages
    assert seen_patched["munmap, at once"]["pf_fixed"] == Span(pages, pages)
    assert seen_patched["munmap, at once"][RETRIES] == Span(0, 0)
