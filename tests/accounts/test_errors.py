"""The tree of errors and its table."""

from __future__ import annotations

import gc
import re

import pytest

from zasper_hub.accounts.errors import CODES, Forbidden, HubError, NotFound, error_of_status
from zasper_hub.settings.environment import BASE_DIR


def every_class(base: type[HubError]) -> list[type[HubError]]:
    return [base, *(found for child in base.__subclasses__() for found in every_class(child))]


def test_a_class_with_a_code_that_is_not_in_the_table_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="no_such_code"):
        type("Wrong", (HubError,), {"code": "no_such_code"})


def test_statuses_and_close_codes_are_those_clients_are_promised() -> None:
    assert {meaning.status for meaning in CODES.values()} <= {
        400,
        401,
        403,
        404,
        405,
        409,
        413,
        422,
        429,
        500,
        503,
    }
    assert {meaning.close_code for meaning in CODES.values()} <= {
        1011, 4400, 4401, 4403, 4408, 4409, 4413, 4429, 4503,
    }  # fmt: skip


def test_every_default_message_is_a_sentence() -> None:
    for code, meaning in CODES.items():
        assert meaning.default_message.endswith("."), code


def test_a_socket_does_not_tell_a_foreign_id_from_an_absent_one() -> None:
    assert NotFound().close_code == Forbidden().close_code == 4403


@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (418, "bad_request"), (502, "internal")])
def test_an_error_of_somebody_else_gets_a_code_by_its_status(status: int, code: str) -> None:
    assert error_of_status(status).code == code


def test_details_and_message_are_what_the_client_gets() -> None:
    error = Forbidden("No.", needed="editor")
    assert error.as_json() == {"code": "forbidden", "message": "No.", "details": {"needed": "editor"}}


def test_the_close_codes_of_the_frontend_are_those_of_the_table() -> None:
    source = (BASE_DIR / "frontend" / "src" / "socket.ts").read_text(encoding="utf-8")
    block = source.partition("export const CloseCode = {")[2].partition("}")[0]
    known = {int(number) for number in re.findall(r": (\d{4}),", block)}
    assert known == {meaning.close_code for meaning in CODES.values()} - {
        1011,
        4400,
    }  # these have no own treatment


def test_all_classes_are_mapped() -> None:
    gc.collect()  # the class that could not be written may still hang about
    assert len(every_class(HubError)) > 15
    for found in every_class(HubError):
        assert found().status == CODES[found.code].status
