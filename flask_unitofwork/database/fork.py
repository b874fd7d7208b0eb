"""placeholder"""

from sqlalchemy import Engine


def protect(engine: Engine) -> None:
    pass
