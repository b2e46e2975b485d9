"""What runs inside the children of the supervisor: workers, and what they share with triage."""
