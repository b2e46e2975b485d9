"""Whether the loop over memslots is seen to pass over gmem-only slots, in compiled objects."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from fuzz.port.abi import check_object
from fuzz.port.build import model_sources
from fuzz.port.compiler import find_compiler
from fuzz.port.skip import Skip
from tests.unit.kernel_objects import SKIP, compiled, kvm_main


def skip_of(folder: Path, text: str, *flags: str, link: bool = False) -> Skip:
    """What is said of the loop in this text, compiled."""
    path = compiled(folder, text, *flags, link=link)
    checked = check_object(path, model_sources(), lambda _: None)
    assert checked is not None
    return checked.skip


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("flags", ["-O2 -g", "-Os -g", "-O2 -g3", "-O2 -g -gdwarf-4"])
def test_the_skip_is_seen_in_every_copy_of_the_loop(tmp_path: Path, flags: str, link: bool) -> None:
    skip = skip_of(tmp_path, kvm_main(SKIP), *flags.split(), link=link)
    assert skip.answer == "yes"
    assert {place.function for place in skip.places} == {
        "kvm_mmu_notifier_invalidate_range_start", "kvm_mmu_notifier_test_young",
    }  # fmt: skip
    text = kvm_main(SKIP).splitlines()
    for place in skip.places:
        use = place.uses[0]
        file, _, line = use.line.rpartition(":")
        assert file == "virt/kvm/kvm_main.c"
        assert "kvm_memslot_is_gmem_only" in text[int(line) - 1]
        assert use.address.startswith(f"{place.function}+0x")


@pytest.mark.parametrize("flags", ["-O2 -g", "-Os -g", "-O2 -g -gdwarf-4"])
def test_no_skip_is_told_as_no(tmp_path: Path, flags: str) -> None:
    skip = skip_of(tmp_path, kvm_main(), *flags.split())
    assert skip.answer == "no"
    assert len(skip.places) == 2


def test_a_skip_by_the_second_predicate_alone_is_seen(tmp_path: Path) -> None:
    skip = skip_of(tmp_path, kvm_main("if (kvm_memslot_is_gmem_only(slot)) continue;"))
    assert skip.answer == "yes"


def test_a_skip_of_all_slots_with_a_gmem_is_not_the_skip(tmp_path: Path) -> None:
    skip = skip_of(tmp_path, kvm_main("if (kvm_slot_has_gmem(slot)) continue;"))
    assert skip.answer == "cannot tell"
    assert "nothing shows kvm_memslot_is_gmem_only" in skip.reason


def test_predicates_used_outside_the_loop_are_not_the_skip(tmp_path: Path) -> None:
    text = kvm_main() + (
        "bool other(struct kvm_memory_slot *slot)\n{\n\treturn kvm_memslot_is_gmem_only(slot);\n}\n"
    )
    assert skip_of(tmp_path, text).answer == "no"


def test_a_predicate_that_is_called_and_not_inlined_is_seen(tmp_path: Path) -> None:
    text = kvm_main(SKIP).replace("static inline bool kvm_", "__attribute__((noinline)) bool kvm_")
    skip = skip_of(tmp_path, text)
    # clang does not say whether the call is of the loop or of the function around it
    assert skip.answer == ("cannot tell" if find_compiler().covers else "yes")
    assert {use.name for use in skip.places[0].uses} == {
        "kvm_slot_has_gmem",
        "kvm_memslot_is_gmem_only",
    }


def test_a_loop_that_is_a_function_of_its_own_is_found(tmp_path: Path) -> None:
    text = kvm_main(SKIP).replace(
        "static inline __attribute__((always_inline)) bool", "__attribute__((noinline)) bool"
    )
    skip = skip_of(tmp_path, text)
    assert skip.answer == "yes"
    assert [place.function for place in skip.places] == ["kvm_handle_hva_range"]


def test_without_records_of_inlining_the_answer_is_that_it_cannot_be_told(tmp_path: Path) -> None:
    skip = skip_of(tmp_path, kvm_main(SKIP), "-O0", "-g")
    assert skip.answer == "cannot tell"


def test_a_file_without_the_loop_cannot_tell(tmp_path: Path) -> None:
    skip = skip_of(tmp_path, "void kvm_get_kvm(void) {}\n")
    assert skip.answer == "cannot tell"
    assert "nowhere" in skip.reason


def test_an_older_kernels_wrapper_around_the_loop_is_not_a_copy_of_its_own(tmp_path: Path) -> None:
    text = kvm_main(SKIP).replace("kvm_handle_hva_range(", "__kvm_handle_hva_range(")
    wrapper = (
        "static inline __attribute__((always_inline)) bool\n"
        "kvm_handle_hva_range(struct kvm *kvm, struct kvm_mmu_notifier_range *range)\n"
        "{\n\treturn __kvm_handle_hva_range(kvm, range);\n}\n"
    )
    young = "bool kvm_mmu_notifier_test_young("
    text = text.replace(young, wrapper + young)
    text = text.replace("return !__kvm_handle_hva_range", "return !kvm_handle_hva_range")
    skip = skip_of(tmp_path, text)
    assert skip.answer == "yes"
    assert len(skip.places) == 2


@pytest.mark.skipif(platform.machine() != "x86_64", reason="arm64 splits the number")
def test_both_flags_tested_without_the_predicates_are_not_told_as_no(tmp_path: Path) -> None:
    skip = skip_of(tmp_path, kvm_main("if ((slot->flags & 0x20004) == 0x20004) continue;"))
    assert skip.answer == "cannot tell"
    assert "0x20004" in skip.reason
