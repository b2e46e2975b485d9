"""What a crash left behind, put right before a campaign goes on."""
