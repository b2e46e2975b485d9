"""Addresses in a built port lead to file and line."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fuzz.port.addresses import covered_points, symbolised
from fuzz.port.build import Options, build_library, model_sources
from fuzz.port.compiler import find_compiler
from tests.ports import needs_compiler


def test_a_frame_without_a_line_gets_the_one_of_its_call(tmp_path: Path) -> None:
    """What a sanitizer prints when it has no symboliser of its own."""
    needs_compiler()
    source = tmp_path / "crash.c"
    source.write_text(
        "#include <stdio.h>\n"
        "__attribute__((noinline)) void tell(void)\n"
        "{\n"
        '\tprintf("%p %p\\n", __builtin_return_address(0), (void *)tell);\n'
        "}\n"
        "int main(void)\n"
        "{\n"
        "\ttell();\n"
        "\treturn 0;\n"
        "}\n"
    )
    program = tmp_path / "crash"
    command = [*find_compiler().command, "-g", "-O0", "-no-pie", str(source), "-o", str(program)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("the compiler makes no program at a fixed address")
    told = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    back = int(told.split()[0], 16)
    report = f"    #1 0x1234 (crash+{back:#x})\n    #2 0x5 (libc.so.6+0x10)"
    lines = symbolised(report, program).splitlines()
    assert lines[0].endswith(" crash.c:8")
    assert lines[1] == "    #2 0x5 (libc.so.6+0x10)"


def test_every_coverage_point_stands_at_a_line_of_the_port() -> None:
    needs_compiler()
    sources = model_sources()
    path = build_library(sources, Options(coverage=True))
    points = covered_points(path)
    if not find_compiler().covers:
        assert points == [], "gcc leaves no points"
        return
    assert len(points) > 1000
    for point in points:
        assert point is not None
        text = sources[point[0]].splitlines()[point[1] - 1]
        assert re.search(r"\w|[{}]", text), point
