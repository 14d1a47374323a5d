"""What ``tidegate doctor`` looks at; each check says what it found, why it matters, what to do."""
