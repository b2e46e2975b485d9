"""The table of mutations: functions from a Program to another valid one, or None where they do
not apply.

They work on the nouns of a Program (ops, arguments, actors, preemptions, profile, layout), so
every mutant means something.
"""

from __future__ import annotations

from typing import Final

from fuzz.mutation.around import (
    add_actor,
    change_backing,
    change_layout,
    change_profile,
    drop_actor,
    insert_setup,
    punch_seen,
    remove_setup,
    reorder_actors,
    shift_view,
)
from fuzz.mutation.ops import (
    borrow_argument,
    delay_actor,
    insert_op,
    move_op,
    nest_accesses,
    nudge_argument,
    redraw_arguments,
    remove_op,
    repeat_op,
    replace_op,
    spoil_argument,
)
from fuzz.mutation.schedule import add_preemption, drop_preemption, move_preemption
from fuzz.mutation.subject import Mutation

# As often as they stand here.
MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(insert_op,) * 6,
    *(replace_op,) * 4,
    *(remove_op,) * 3,
    *(repeat_op,) * 2,
    *(move_op,) * 2,
    delay_actor,
    *(redraw_arguments,) * 4,
    *(borrow_argument,) * 4,
    *(nudge_argument,) * 2,
    spoil_argument,
    *(nest_accesses,) * 2,
    add_actor,
    drop_actor,
    reorder_actors,
    *(add_preemption,) * 8,
    *(drop_preemption,) * 2,
    *(move_preemption,) * 4,
    change_profile,
    *(change_layout,) * 2,
    *(change_backing,) * 3,
    *(shift_view,) * 2,
    *(punch_seen,) * 2,
    *(insert_setup,) * 2,
    remove_setup,
)
