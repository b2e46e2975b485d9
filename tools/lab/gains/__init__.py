"""What the patch saves a guest, counted by KVM itself and by the models."""
