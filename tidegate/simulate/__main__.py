"""``python -m tidegate.simulate``: the simulators alone, without loading all other commands."""

from tidegate.simulate import app

if __name__ == "__main__":
    app()
