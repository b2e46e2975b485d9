"""From a finding to a bundle that can be sent: a C reproducer, its expectations, a report draft."""
