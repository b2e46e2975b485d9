"""Programs, their execution on two models, and the judgement of what differs."""
