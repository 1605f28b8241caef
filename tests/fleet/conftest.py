"""One real PostgreSQL server for these tests, and a database with the schema for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest

from bench.servers import SCHEMA, PostgreSQL

_numbers = count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        server.create("schema")
        server.run_sql("-f", str(SCHEMA), database="schema")
        yield server


@pytest.fixture
def database(postgresql: PostgreSQL) -> str:
    """How libpq finds an empty database with the schema."""
    return postgresql.create(f"test-{next(_numbers)}", template="schema")


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection
