"""The lab: programs on real kernels, under QEMU's software emulation, as the third witness."""
