"""The reference model: what KVM does, step by step, as plain Python.

Nothing here imports fuzz, patched or tools.  ``reference.kvm.Kvm`` is the model; every
function in the other files is one of its methods and mirrors the kernel function of that name.
"""
