"""What the C port has no room for is told as that, and never a crash or a wrong run."""

from __future__ import annotations

import random
import subprocess
from array import array
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from fuzz.codec import random_program
from fuzz.execution import HarnessError
from fuzz.overlay import load_model
from fuzz.port import library
from fuzz.port.build import Options, build_program, model_sources
from fuzz.port.encode import BeyondPortError, encode
from fuzz.port.lockstep import lockstep
from fuzz.vocabulary import OPS, Actor, Op, Preemption, Program
from reference.features import FEATURES, Profile
from tests.ports import needs_compiler, port_of
from tools.sanitize import SANITIZED, why_not

NOP: Final = Op("nop", ())
PLAIN: Final = Program(
    Profile("v7.2", "x86-tdp"), (), (Actor("vmm0", (NOP, NOP)), Actor("vcpu0", (NOP,)))
)
POINT: Final = Preemption("vmm0", 1, "begin", 1, "vcpu0")


def vmms(count: int) -> tuple[Actor, ...]:
    return tuple(Actor(f"vmm{number}", (NOP,)) for number in range(count))


@pytest.mark.parametrize(
    ("program", "what"),
    [
        (replace(PLAIN, setup=(NOP,) * 129), "more ops"),
        (replace(PLAIN, actors=(Actor("vmm0", (NOP,) * 129),)), "more ops"),
        (replace(PLAIN, actors=vmms(16)), "more actors"),
        (replace(PLAIN, actors=(Actor("vmm100000000", (NOP,)),)), "vmm100000000"),
        (replace(PLAIN, vcpus=9), "more vCPUs"),
        (replace(PLAIN, vcpus=1 << 32), "vcpus: 4294967296"),
        (replace(PLAIN, vcpus=1 << 70), "vcpus"),
        (replace(PLAIN, vcpus=-1), "vcpus: -1"),
        (replace(PLAIN, actors=(Actor("vcpu1", (NOP,)),)), "a vCPU that is not there"),
        (replace(PLAIN, frames=1 << 63), "frames"),
        (replace(PLAIN, schedule=(POINT,) * 321), "more preemptions"),
        (replace(PLAIN, schedule=(replace(POINT, occurrence=1 << 32),)), "begin: 4294967296"),
        (replace(PLAIN, setup=(Op("user_write", (4096, 1 << 63)),)), "a page's contents"),
        (replace(PLAIN, setup=(Op("user_read", (1 << 64,)),)), "beyond 64 bits"),
        (replace(PLAIN, setup=(Op("user_read", (-(1 << 63) - 1,)),)), "beyond 64 bits"),
    ],
)  # fmt: skip
def test_each_limit_is_told_as_one(program: Program, what: str) -> None:
    with pytest.raises(BeyondPortError, match=what):
        port_of("stock").load(program)


@pytest.mark.parametrize(
    "program",
    [
        replace(PLAIN, setup=(NOP,) * 128),
        replace(PLAIN, actors=vmms(15)),
        replace(PLAIN, vcpus=8, actors=(Actor("vcpu7", (NOP,)),)),
        replace(PLAIN, actors=(Actor("vmm99999999", (NOP,)),)),
        replace(PLAIN, frames=(1 << 63) - 1),
        replace(PLAIN, schedule=(POINT,) * 40),
        replace(PLAIN, schedule=(replace(POINT, label="no.such.label"),)),
        replace(PLAIN, setup=(Op("user_write", (4096, (1 << 63) - 1)),)),
        replace(PLAIN, setup=(Op("user_read", ((1 << 64) - 1,)),)),
        replace(PLAIN, actors=()),
    ],
)
def test_what_just_fits_runs_as_in_python(program: Program) -> None:
    assert lockstep(program, load_model("stock"), port_of("stock")) is None


def test_a_program_after_one_that_was_refused_runs_as_if_it_were_the_first() -> None:
    port = port_of("stock")
    with pytest.raises(BeyondPortError):
        port.load(replace(PLAIN, actors=vmms(16)))
    assert lockstep(PLAIN, load_model("stock"), port) is None


def test_words_that_end_early_or_are_of_another_version_are_refused() -> None:
    port = port_of("stock")
    words = encode(PLAIN, port.label_id, False)
    for length in range(len(words)):
        with pytest.raises(BeyondPortError):
            port.load_words(words[:length])
    with pytest.raises(BeyondPortError, match="another version"):
        port.load_words(array("Q", (2, *words[1:])))


@pytest.mark.parametrize("kind", ["op", "feature"])
def test_a_port_whose_ops_or_features_are_not_ours_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = port_of("stock").path
    theirs = {"op": OPS, "feature": FEATURES}[kind]
    for ours in (tuple(theirs)[:-1], (*theirs, "more"), ("other", *tuple(theirs)[1:])):
        monkeypatch.setattr(library, f"{kind.upper()}S", dict.fromkeys(ours))
        with pytest.raises(HarnessError, match=f"the port's {kind}s are"):
            library.Port(path, False)


EDGES: Final = (0, 1, 15, 16, 64, 65, 128, 129, *(
    (1 << bits) + more for bits in (31, 32, 63) for more in (-1, 0, 1)
), (1 << 64) - 1, (1 << 64) - 100_000)  # fmt: skip


def noise(rng: random.Random) -> Iterator[array[int]]:
    """Words of programs with some replaced, and some cut off; and words of no program at all."""
    port = port_of("stock")
    while True:
        words = encode(random_program(rng), port.label_id, False)
        for _ in range(rng.randint(1, 4)):
            words[rng.randrange(len(words))] = rng.choice((*EDGES, rng.getrandbits(64)))
        yield words[: rng.randrange(len(words) + 1)] if rng.random() < 0.2 else words
        yield array("Q", (rng.choice(EDGES) for _ in range(rng.randrange(40))))


# The library would take pytest with it, so the words go to a program that only reads them.
READER: Final = r"""/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdio.h>
#include "program.h"
const char *gmemdiff_program(const u64 *words, size_t n);
int main(void)
{
	static u64 words[1 << 16];
	u64 n;

	while (fread(&n, sizeof(n), 1, stdin) == 1) {
		size_t got = fread(words, sizeof(*words), n, stdin);
		const char *wrong = gmemdiff_program(words, got);

		puts(wrong ? wrong : "accepted");
	}
	return 0;
}
"""


@pytest.mark.slow
def test_random_words_are_refused_or_accepted_and_nothing_else() -> None:
    needs_compiler()
    options = Options() if why_not() else SANITIZED
    sources = {**model_sources(), "reader.c": READER}
    program = build_program(sources, "reader.c", options)
    chosen = noise(random.Random(1))
    texts = [next(chosen) for _ in range(4000)]
    data = b"".join(array("Q", (len(words),)).tobytes() + words.tobytes() for words in texts)
    done = subprocess.run([str(program)], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    assert len(done.stdout.splitlines()) == len(texts)
    assert b"accepted" in done.stdout
