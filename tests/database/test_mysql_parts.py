"""What part a statement has in a transaction of MySQL or MariaDB."""

from __future__ import annotations

import pytest

from flask_unitofwork.database.mysql_parts import Part, part_of


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("SELECT 1", Part.MEMBER),
        ("  (select 1) UNION (select 2)", Part.MEMBER),
        ("/* who asks */ -- and why\n # and when\n INSERT INTO item VALUES (1)", Part.MEMBER),
        ("WITH t AS (SELECT 1) SELECT * FROM t", Part.MEMBER),
        (b"INSERT INTO item VALUES (1)", Part.MEMBER),
        (bytearray(b"REPLACE INTO item VALUES ('\xf0\x9f\x8d\xb0')"), Part.MEMBER),
        ("SAVEPOINT a", Part.MEMBER),
        ("SELECT @@transaction_isolation", Part.NONE),
        ("SELECT @@transaction_isolation, put(1)", Part.MEMBER),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", Part.NONE),
        ("SET @a = 1", Part.NONE),
        ("SET @a = put(1)", Part.UNKNOWN),
        ("SET STATEMENT max_statement_time = 1 FOR DELETE FROM item", Part.UNKNOWN),
        ("SET autocommit = 0", Part.CHOICE),
        ("SET @@session.AutoCommit=1", Part.CHOICE),
        ("BEGIN", Part.NONE),
        ("START TRANSACTION READ ONLY", Part.NONE),
        ("BEGIN NOT ATOMIC DELETE FROM item; END", Part.UNKNOWN),
        ("XA START 'a'", Part.NONE),
        ("COMMIT", Part.END),
        ("rollback to a", Part.END),
        ("CREATE TABLE item (id INT)", Part.NONE),
        ("CREATE OR REPLACE TEMPORARY TABLE item AS SELECT put(1)", Part.UNKNOWN),
        ("SHOW TABLES", Part.NONE),
        ("CALL put(1)", Part.UNKNOWN),
        ("EXECUTE put", Part.UNKNOWN),
        ("LOCK TABLES item WRITE", Part.UNKNOWN),
        ("ANALYZE DELETE FROM item", Part.UNKNOWN),
        ("/*! DELETE FROM item */", Part.UNKNOWN),
        ("/*M!100100 DELETE FROM item */", Part.UNKNOWN),
        ("/* " + "x" * 2000 + " */ SELECT 1", Part.MEMBER),
        (b"/* " + b"x" * 2000 + b" */ SELECT 1", Part.UNKNOWN),
        ("", Part.UNKNOWN),
    ],
)
def test_is_told_by_its_first_words(statement: str | bytes | bytearray, part: Part) -> None:
    assert part_of(statement) is part
