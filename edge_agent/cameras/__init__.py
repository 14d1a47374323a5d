"""The camera patrol: which feeds there are, which answer, and what they show."""
