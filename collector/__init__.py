"""The central collector: receives from every edge, keeps the registry, answers questions."""
