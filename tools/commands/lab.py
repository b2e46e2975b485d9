"""``gmemdiff lab``: programs on real kernels, under software emulation."""

from __future__ import annotations

import click

from tools.commands.lab_conform import lab_conform
from tools.commands.lab_fetch import lab_build, lab_fetch, lab_list
from tools.commands.lab_gains import lab_gains
from tools.commands.lab_run import lab_run


@click.group()
def lab() -> None:
    """Run programs on real kernels, under QEMU's software emulation."""


for _command in (lab_fetch, lab_build, lab_list, lab_run, lab_conform, lab_gains):
    lab.add_command(_command)
