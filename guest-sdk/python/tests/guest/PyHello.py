"""An activity of the first programming model."""


def main(name: str) -> str:
    return f"Hello {name}!"
