"""ClickHouse's HTTP interface over its real engine: `python -m tests.destinations.clickhouse_server PORT FOLDER`.

chdb is that engine as a library, and has no server in it. How it is asked, and which status tells of which exception,
is here as in the server; parsing, deduplication and storage are the engine's own.
"""

import re
import sys
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session

from tests.destinations.clickhouse import PASSWORD
from tests.destinations.http_server import Request, Response, server

_NO_SETTINGS: Final = {"query", "database", "wait_end_of_query"}
_BAD_REQUEST: Final = """
    BAD_ARGUMENTS CANNOT_COMPILE_REGEXP CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE CANNOT_PARSE_QUOTED_STRING
    CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING CANNOT_PARSE_IPV4
    CANNOT_PARSE_IPV6 CANNOT_PARSE_UUID CANNOT_PARSE_INPUT_ASSERTION_FAILED DUPLICATE_COLUMN ILLEGAL_COLUMN
    THERE_IS_NO_COLUMN UNKNOWN_ELEMENT_IN_AST UNKNOWN_TYPE_OF_AST_NODE TOO_DEEP_AST TOO_BIG_AST
    UNEXPECTED_AST_STRUCTURE SYNTAX_ERROR INCORRECT_DATA TYPE_MISMATCH VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
"""
_NOT_FOUND: Final = """
    UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE UNKNOWN_SETTING
    UNKNOWN_DIRECTION_OF_SORTING UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT UNKNOWN_DATABASE_ENGINE
    UNKNOWN_TYPE_OF_QUERY UNKNOWN_ROLE
"""
_STATUSES: Final = {
    **dict.fromkeys(_BAD_REQUEST.split(), 400),
    **dict.fromkeys(_NOT_FOUND.split(), 404),
    "AUTHENTICATION_FAILED": 403,
    "ACCESS_DENIED": 403,
    "TIMEOUT_EXCEEDED": 408,
    "NOT_IMPLEMENTED": 501,
}
_EXCEPTION: Final = re.compile(r"Code: (\d+)\..*\((\w+)\)", re.DOTALL)


class ClickHouse:
    """The engine with its data in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._first = _session(folder)  # keeps the engine up between requests

    def respond(self, request: Request) -> Response:
        """The result of a query, or the exception's text with its status."""
        try:
            return Response(200, self._result(request))
        except RuntimeError as error:
            match = _EXCEPTION.search(str(error))
            code, name = match.groups() if match else ("0", "UNKNOWN")
            return Response(_STATUSES.get(name, 500), str(error).encode(), {"X-ClickHouse-Exception-Code": code})

    def _result(self, request: Request) -> bytes:
        if request.headers.get("x-clickhouse-key", PASSWORD) != PASSWORD:
            raise RuntimeError("Code: 516. DB::Exception: Password is incorrect. (AUTHENTICATION_FAILED)")
        parameters = dict(parse_qsl(urlsplit(request.target).query, keep_blank_values=True))
        with _session(self._folder) as session:
            if database := parameters.get("database"):
                session.query(f"USE {database}")
            for name in parameters.keys() - _NO_SETTINGS:
                value = parameters[name].replace("\\", "\\\\").replace("'", "\\'")
                session.query(f"SET {name} = '{value}'")
            if request.method == "GET":
                session.query("SET readonly = 1")
            query = "\n".join([text for text in (parameters.get("query"), request.inflated.decode()) if text])
            result: bytes = session.query(query, "TSV").bytes() or b""
            return result


def _session(folder: str) -> Any:
    session: Any = Session  # whose methods have no types
    return session(folder)


if __name__ == "__main__":
    server(int(sys.argv[1]), ClickHouse(sys.argv[2]).respond).serve_forever()
