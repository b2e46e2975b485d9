"""Stands in for QEMU: reads the cases from its initrd and plays the executor, as told.

``python fake_qemu.py SCRIPT OPTIONS...`` where SCRIPT is words joined by commas:

good            every case is done, each op with the result 0
panic=N         at case N, the kernel panics: its console says so, and the machine is gone
int3=N          as panic, by a breakpoint that the emulator let a processor run into
hang=N          at case N, nothing comes any more
warn=N          at case N, the kernel log holds a WARN, and the case is done
killed=N        at case N, the executor ends the case after its deadline
giveup=N        at case N, the executor gives up
silent          nothing ever comes
early           the machine stops before KVM is there
noise           a line that is no message stands between the others
refuse          as QEMU does with an option that it does not know
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

PANIC = """\
[    4.100000] BUG: unable to handle page fault for address: ffffdead00000000
[    4.100001] Oops: Oops: 0002 [#1] SMP NOPTI
[    4.100002] RIP: 0010:kvm_tdp_mmu_map+0x12/0x340 [kvm]
[    4.100003] Call Trace:
[    4.100004]  <TASK>
[    4.100005]  kvm_tdp_mmu_page_fault+0x5a/0x120 [kvm]
[    4.100006]  </TASK>
[    4.100007] ---[ end trace 0000000000000000 ]---
[    4.100008] Kernel panic - not syncing: Fatal exception
"""
INT3 = """\
[    4.1] Oops: int3: 0000 [#1] SMP NOPTI
[    4.1] RIP: 0010:pick_next_task_fair+0x5/0x340
[    4.1] Modules linked in: kvm_amd kvm irqbypass
[    4.1] Kernel panic - not syncing: Fatal exception in interrupt
"""
WARN = [
    "------------[ cut here ]------------",
    "WARNING: virt/kvm/kvm_main.c:709 at kvm_handle_hva_range+0x21/0x70 [kvm], CPU#0: init/9",
    "---[ end trace 0000000000000000 ]---",
]


def say(data: dict[str, Any]) -> None:
    print(f"# {json.dumps(data)}", flush=True)


def cases_of(initrd: bytes) -> list[tuple[int, int]]:
    """Number and count of ops of each case in the last archive."""
    text = initrd[initrd.rindex(b"case 0 ") :].decode("ascii", "replace")
    found: list[tuple[int, int]] = []
    for line in text.splitlines():
        if line.startswith("case "):
            found.append((int(line.split()[1]), 0))
        elif line.startswith("op "):
            found[-1] = found[-1][0], found[-1][1] + 1
        elif line != "end":
            break
    return found


def play(script: dict[str, str], initrd: bytes, console: Path) -> None:
    """What a machine would do."""
    if "silent" in script:
        time.sleep(600)
    say({"init": 1})
    if "early" in script:
        console.write_text("[    2.0] Failed to execute /init (error -8)\n")
        return
    say({"kernel": "7.2.0-fake", "huge": 1, "capabilities": {"GUEST_MEMFD": 1}})
    for number, count in cases_of(initrd):
        say({"begin": number})
        if "noise" in script:
            print("# {not json\nsome line", flush=True)
        if script.get("panic") == str(number):
            console.write_text(PANIC)
            return
        if script.get("int3") == str(number):
            console.write_text(INT3)
            return
        if script.get("hang") == str(number):
            console.write_text("[    5.0] the last line before silence\n")
            time.sleep(600)
        if script.get("giveup") == str(number):
            say({"error": "no more memory"})
            return
        data: dict[str, Any] = {"case": number, "attempt": 0, "status": "done", "at": count - 1}
        data |= {"trouble": "", "ops": [[0, 1, 2, 3, 4, 5]] * count}
        if script.get("warn") == str(number):
            data["kmsg"] = WARN
        if script.get("killed") == str(number):
            data |= {"status": "timeout", "at": 0, "ops": [None] * count}
        say(data)
    say({"end": 1})


def main() -> None:
    script = dict(word.partition("=")[::2] for word in sys.argv[1].split(","))
    options = sys.argv[2:]
    if "refuse" in script:
        sys.exit("qemu: -nonsense: invalid option")
    initrd = Path(options[options.index("-initrd") + 1])
    console = Path(options[options.index("-serial") + 1].removeprefix("file:"))
    once = os.environ.get("FAKE_QEMU_ONCE")
    if once and not os.path.exists(once):
        Path(once).touch()
    elif once:
        script = {"good": ""}  # misfortune comes once
    play(script, initrd.read_bytes(), console)


if __name__ == "__main__":
    main()
