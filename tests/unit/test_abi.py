"""``gmemdiff abi``: what it says of an object, and of files that are none."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from fuzz.port import abi_table as table
from fuzz.port.abi import ABSENT, DIFFERS, SAME
from fuzz.port.build import model_sources
from fuzz.port.usage import Usage
from reference import uapi
from reference.features import FEATURES
from tests.unit.kernel_objects import SKIP, compiled, kvm_main
from tools import cli, exits


def gmemdiff(*arguments: object) -> int:
    """Run one command in this process."""
    return cli.main([str(each) for each in arguments])


def checked(path: Path, capsys: pytest.CaptureFixture[str], code: int) -> dict[str, Any]:
    """What the command says of an object, as JSON."""
    assert gmemdiff("abi", path, "--json") == code
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    said["by name"] = {row["what"]: row for row in said["rows"]}
    return said


def test_an_object_that_is_as_the_port_assumes_exits_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = checked(compiled(tmp_path, kvm_main()), capsys, exits.CLEAN)
    assert said["counts"][DIFFERS] == 0
    rows = said["by name"]
    assert rows["kvm.mmu_invalidate_seq"]["verdict"] == SAME
    assert rows["kvm_memory_slot.gmem.file"]["found"] == "struct file *"
    assert rows["KVM_MR_FLAGS_ONLY"]["found"] == "3"
    assert rows["kvm_handle_hva_range()"]["found"] == "inlined"
    assert said["units"] == ["virt/kvm/kvm_main.c"]


def test_a_file_that_the_object_does_not_have_says_nothing_about_its_functions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = checked(compiled(tmp_path, kvm_main()), capsys, exits.CLEAN)["by name"]
    assert row["kvm_gmem_unbind()"]["verdict"] == ABSENT
    assert row["kvm_gmem_unbind()"]["found"] == "no virt/kvm/guest_memfd.c"


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("dwarf", ["-gdwarf-4", "-gdwarf-5"])
def test_macros_are_compared_when_the_object_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dwarf: str, link: bool
) -> None:
    path = compiled(tmp_path, kvm_main(), "-O2", "-g3", dwarf, link=link)
    rows = checked(path, capsys, exits.CLEAN)["by name"]
    for name in ("KVM_MEMSLOT_GMEM_ONLY", "KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS", "PAGE_SIZE",
                 "KVM_USER_MEM_SLOTS", "FALLOC_FL_MODE_MASK | FALLOC_FL_KEEP_SIZE"):  # fmt: skip
        assert rows[name]["verdict"] == SAME, rows[name]
    assert rows["ENOMEM"]["found"] == "no such macro"


def test_without_macro_information_each_constant_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = checked(compiled(tmp_path, kvm_main()), capsys, exits.CLEAN)["by name"]
    assert rows["KVM_MEMSLOT_GMEM_ONLY"]["verdict"] == ABSENT
    assert rows["KVM_MEMSLOT_GMEM_ONLY"]["found"] == "macros need gcc -g3"


@pytest.mark.parametrize(
    ("old", "new", "what", "found"),
    [
        ("KVM_MR_CREATE, KVM_MR_DELETE", "KVM_MR_DELETE, KVM_MR_CREATE", "KVM_MR_CREATE", "1"),
        (", KVM_MR_MOVE", "", "KVM_MR_MOVE", "no such enumerator"),
        ("rwlock_t mmu_lock", "spinlock_t mmu_lock", "kvm.mmu_lock", "spinlock_t"),
        ("unsigned long mmu_invalidate_seq;", "", "kvm.mmu_invalidate_seq", "no such member"),
        ("u16 as_id", "short as_id", "kvm_memory_slot.as_id", "short int"),
        ("__u32 slot, flags;", "__u32 flags, slot;", "kvm_userspace_memory_region2.slot",
         "__u32 at 4"),
        ("(1UL << 17)", "(1UL << 18)", "KVM_MEMSLOT_GMEM_ONLY", "0x40000"),
        ("kvm_invalidate_memslot ", "", "kvm_invalidate_memslot()", "none in virt/kvm/kvm_main.c"),
    ],
)  # fmt: skip
def test_what_differs_is_named_with_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, what: str, found: str
) -> None:
    text = kvm_main()
    if old.startswith("kvm_invalidate"):
        old, new = "void kvm_invalidate_memslot(void) {}", ""
    assert old in text
    path = compiled(tmp_path, text.replace(old, new), "-O2", "-g3")
    row = checked(path, capsys, exits.FINDING)["by name"][what]
    assert row["verdict"] == DIFFERS
    assert row["found"].split(" or ")[0] in (found, found.replace("short int", "short"))


def test_a_function_under_its_older_name_is_as_assumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = kvm_main().replace("kvm_mmu_invalidate_start(", "kvm_mmu_invalidate_begin(")
    row = checked(compiled(tmp_path, text), capsys, exits.CLEAN)["by name"]
    found = row["kvm_mmu_invalidate_start()"]["found"]
    assert found == "kvm_mmu_invalidate_begin(), out of line"


def test_features_tell_which_kernel_an_object_looks_like(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = checked(compiled(tmp_path, kvm_main()), capsys, exits.CLEAN)
    assert old["kernels"] == ["v6.18", "v7.2"]
    text = kvm_main().replace(
        "unsigned long mmu_invalidate_seq;", "unsigned long mmu_invalidate_seq, gpc_invalidate_seq;"
    )
    text += "void kvm_gmem_commit_memory_region(void) {}\n"
    new = checked(compiled(tmp_path, text), capsys, exits.CLEAN)
    assert new["kernels"] == ["v7.3"]
    has = {feature["name"]: feature["has"] for feature in new["features"]}
    assert has["gpc_invalidate_seq"] is True
    assert has["gmem_toggle_refused"] is None


def test_the_plain_output_is_a_table_of_differences_and_then_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = kvm_main(SKIP).replace("rwlock_t mmu_lock", "spinlock_t mmu_lock")
    assert gmemdiff("abi", compiled(tmp_path, text)) == exits.FINDING
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.split()[:1] == ["kvm.mmu_lock"])
    assert row.split() == ["kvm.mmu_lock", "rwlock_t", "kvm_main.c:kvm_mmu_invalidate_start",
                           "spinlock_t", "differs"]  # fmt: skip
    assert any(line.startswith("skip:     yes: ") for line in lines)
    assert max(map(len, lines)) <= 200


def test_an_object_without_kvm_exits_with_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = compiled(tmp_path, "int nothing;\n", name="drivers/net/loopback.c")
    assert gmemdiff("abi", path) == exits.NOTHING
    assert "nothing of KVM in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"", "not an ELF file"),
        (b"hello", "not an ELF file"),
        (b"\xfd7zXZ\0....", "run unxz"),
        (b"\x28\xb5\x2f\xfd....", "run unzstd"),
        (b"\x1f\x8b....", "run gunzip"),
        (bytes(0x202) + b"HdrS", "a bootable kernel image"),
        (b"\x7fELF", "a broken ELF file"),
    ],
)
def test_a_file_of_another_kind_gets_one_line_of_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, advice: str
) -> None:
    path = tmp_path / "kvm.ko"
    path.write_bytes(data)
    assert gmemdiff("abi", path) == exits.BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith(f"{path}: ")
    assert advice in said
    assert said.count("\n") == 1


def test_a_missing_file_gets_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gmemdiff("abi", tmp_path / "none.ko") == exits.BAD_INPUT
    assert "cannot be read (No such file or directory)" in capsys.readouterr().err


def test_an_object_without_dwarf_says_what_brings_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = compiled(tmp_path, kvm_main(), "-O2", "-g0")
    assert gmemdiff("abi", path) == exits.BAD_INPUT
    said = capsys.readouterr().err
    assert "no DWARF" in said
    assert "linux-image-*-dbg" in said
    assert "CONFIG_DEBUG_INFO_DWARF5=y" in said


def test_a_truncated_object_is_bad_input_wherever_it_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = compiled(tmp_path, kvm_main(), "-O2", "-g3", link=True).read_bytes()
    path = tmp_path / "cut.ko"
    for end in range(64, len(whole), max(1, len(whole) // 6)):
        path.write_bytes(whole[:end])
        assert gmemdiff("abi", path) == exits.BAD_INPUT, end
        assert capsys.readouterr().err.count("\n") == 1


def test_an_object_for_another_machine_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(compiled(tmp_path, kvm_main()).read_bytes())
    struct.pack_into("<H", data, 18, 243)
    path = tmp_path / "riscv.ko"
    path.write_bytes(data)
    assert gmemdiff("abi", path) == exits.BAD_INPUT
    assert "made for RISCV" in capsys.readouterr().err


def test_every_number_of_the_ports_uapi_is_in_the_table_or_said_to_be_its_own() -> None:
    named = {constant.port for constant in table.CONSTANTS} | table.OWN_CONSTANTS
    numbers = {name for name, value in vars(uapi).items() if name.isupper()
               and isinstance(value, int)}  # fmt: skip
    assert named == numbers


def test_every_row_of_the_table_is_relied_on_by_a_function_of_the_port() -> None:
    usage = Usage(model_sources())
    lost = [e.name for e in table.ENUMERATORS if not usage.of_name(e.name)]
    lost += [f"{m.struct}.{m.name}" for m in table.MEMBERS
             if not usage.of_member(m.struct, m.port or m.name)]  # fmt: skip
    lost += [f.names[0] for f in table.FUNCTIONS if not any(map(usage.of_function, f.names))]
    assert not lost


def test_every_sign_of_a_feature_belongs_to_a_feature() -> None:
    assert set(table.FEATURE_SIGNS) <= set(FEATURES)
