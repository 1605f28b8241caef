"""Who is answered, with which headers, and how fast a password may be tried."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import Any

import pytest

from edge.web import access, app
from edge.web.access import SESSION, TRIES, TRIES_OF_ALL, Access
from tests.edge.web.conftest import PASSWORD, Browser
from tests.edge.web.store import Store
from tests.fakes import ManualClock


def test_without_a_password_this_machine_sees_the_page(browser: Browser) -> None:
    assert b"/static/today.js" in browser.get("/").data
    assert browser.ask("/api/page") == {
        "site": "store-7", "today": "2026-01-31", "password": False, "setup": False,
        "audit": False,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/api/day", "/api/page", "/api/changes"])
def test_with_a_password_nothing_is_told_before_it(guarded: Browser, path: str) -> None:
    assert guarded.get(path).status_code == 401
    assert guarded.log_in().status_code == 200
    assert guarded.get(path).status_code == 200


def test_the_first_page_leads_to_the_password(guarded: Browser) -> None:
    answer = guarded.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert b"/static/login.js" in guarded.get("/login").data


def test_a_session_ends_with_its_time_and_with_the_log_out(guarded: Browser) -> None:
    guarded.log_in()
    guarded.clock.advance(SESSION + 1)
    assert guarded.get("/api/page").status_code == 401
    guarded.log_in()
    token = guarded._client.get_cookie("instore").value
    guarded.post("/api/logout", {})
    guarded._client.set_cookie("instore", token)
    assert guarded.get("/api/page").status_code == 401


def test_the_cookie_is_out_of_the_reach_of_scripts_and_other_sites(guarded: Browser) -> None:
    plain = guarded.log_in().headers["Set-Cookie"]
    assert plain.startswith("instore=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(plain.split("; "))
    answer = guarded._client.post("/api/login", json={"password": PASSWORD}, base_url="https://localhost")
    secured = answer.headers["Set-Cookie"]
    assert secured.startswith("__Host-instore=")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(secured.split("; "))


@pytest.mark.parametrize("body", [{}, {"password": 5}, {"password": None}, {"password": PASSWORD + "x"}])
def test_what_is_not_the_password_opens_nothing(guarded: Browser, body: Any) -> None:
    answer = guarded.post("/api/login", body)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)


@pytest.mark.parametrize("data", [b"", b"[]", b"no json", b"\xff", b"[" * 60_000, b'{"a":' * 10_000])
def test_a_body_that_is_no_object_is_refused(guarded: Browser, data: bytes) -> None:
    url = "http://localhost:9109"
    answer = guarded._client.post("/api/login", data=data, content_type="application/json", base_url=url)
    assert answer.status_code == 400


def test_a_form_of_another_site_cannot_be_sent(guarded: Browser) -> None:
    """A form can send no JSON without asking first, and a script of another site sends its origin."""
    url = "http://localhost:9109"
    assert guarded._client.post("/api/login", data={"password": PASSWORD}, base_url=url).status_code == 400
    foreign = {"Origin": "http://evil.example"}
    assert guarded.post("/api/login", {"password": PASSWORD}, headers=foreign).status_code == 403
    odd = {"Origin": "http://["}
    assert guarded.post("/api/login", {"password": PASSWORD}, headers=odd).status_code == 403
    own = {"Origin": "http://localhost:9109"}
    assert guarded.post("/api/login", {"password": PASSWORD}, headers=own).status_code == 200


def test_a_password_cannot_be_guessed_fast(guarded: Browser) -> None:
    for _ in range(TRIES):
        assert guarded.log_in("wrong").status_code == 401
    refused = guarded.log_in()  # the right one would be told apart by its answer
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    guarded.clock.advance(31)
    assert guarded.log_in("wrong").status_code == 401
    assert guarded.log_in().status_code == 429
    guarded.clock.advance(31)
    assert guarded.log_in().status_code == 200


@pytest.mark.parametrize("body", [rb'{"password": "\ud800"}', b'{"password": 5}', b"{}"])
def test_what_can_be_no_password_is_a_try(guarded: Browser, body: bytes) -> None:
    login = partial(
        guarded._client.post, "/api/login", content_type="application/json", base_url="http://localhost:9109"
    )
    assert [login(data=body).status_code for _ in range(TRIES + 1)] == [401] * TRIES + [429]


@pytest.mark.parametrize("here", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_other_addresses_cannot_use_up_the_tries_of_this_machine(here: str) -> None:
    guards = Access(PASSWORD, ManualClock())
    for number in range(TRIES_OF_ALL):
        guards.log_in(f"192.0.2.{number}", "wrong")
    assert guards.wait("192.0.2.99") > 0
    assert guards.wait(here) == 0
    for _ in range(TRIES):
        guards.log_in(here, "wrong")
    assert guards.wait(here) > 0


def test_this_machine_uses_up_no_tries_of_others() -> None:
    guards = Access(PASSWORD, ManualClock())
    for _ in range(TRIES_OF_ALL):
        guards.log_in("127.0.0.1", "wrong")
    assert guards.wait("192.0.2.1") == 0


def test_many_addresses_guess_no_faster() -> None:
    clock = ManualClock()
    guards = Access(PASSWORD, clock)
    tried = 0
    for number in range(10_000):
        if not guards.wait(f"192.0.2.{number}"):
            guards.log_in(f"192.0.2.{number}", "wrong")
            tried += 1
        clock.advance(1)
    assert TRIES_OF_ALL < tried <= TRIES_OF_ALL + 10_000 / access.REFILL + 1


def test_another_password_ends_the_sessions_and_the_same_one_none() -> None:
    guards = Access(PASSWORD, ManualClock())
    token = guards.log_in("192.0.2.1", PASSWORD) or ""
    guards.renew(PASSWORD)
    assert guards.knows(token)
    guards.renew("another long password")
    assert not guards.knows(token)
    assert guards.log_in("192.0.2.1", PASSWORD) is None
    assert guards.log_in("192.0.2.1", "another long password")


def test_addresses_and_sessions_take_no_memory_without_end() -> None:
    clock = ManualClock()
    guards = Access(PASSWORD, clock)
    for number in range(1500):
        guards.log_in(str(number), PASSWORD if number % 2 else "wrong")
    assert len(guards._clients) <= access.MOST_CLIENTS
    assert len(guards._sessions) == access.MOST_SESSIONS


def test_no_password_reaches_the_log(guarded: Browser, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    guarded.log_in("a secret somebody mistyped")
    guarded.log_in()
    assert "a wrong password from" in caplog.text
    assert "secret" not in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    "host", ["localhost:9109", "127.0.0.1:9109", "[::1]:9109", "192.0.2.7", "LOCALHOST", "box.example:80"]
)
def test_the_box_answers_to_its_own_names(store: Store, host: str) -> None:
    web = store.settings.web.model_copy(update={"names": ("box.example",)})
    mine = Browser(store.history._path, store.settings.model_copy(update={"web": web}))
    assert mine.get("/api/page", host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil", "box.example", "127.0.0.1.evil", "a b"),
        *("[", "[::1", "localhost:[", "localhost:" + "1" * 5000),
    ],
)
def test_it_answers_to_no_other_name(browser: Browser, host: str) -> None:
    """DNS rebinding: a name of the attacker's that leads here sends that name."""
    answer = browser._client.get("/api/page", headers={"Host": host})
    assert answer.status_code == 403
    assert b"store-7" not in answer.data


@pytest.mark.parametrize("path", ["/", "/login", "/api/day", "/static/dom.js", "/nowhere", "/api/day?day=x"])
def test_every_answer_protects_the_browser(browser: Browser, path: str) -> None:
    headers = browser.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] in ("no-store", "no-cache")


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static/app.py", "/static//etc/passwd"],
)
def test_no_other_file_is_served(browser: Browser, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_unknown_pages_and_methods_are_refused(browser: Browser) -> None:
    assert browser.get("/api/nothing").status_code == 404
    assert browser.post("/api/day", {}).status_code == 405
    assert browser._client.delete("/api/day", base_url="http://localhost").status_code == 405
    assert browser._client.head("/api/day", base_url="http://localhost").status_code == 200


def test_the_files_hold_no_code_in_markup_and_fetch_nothing_from_outside(browser: Browser) -> None:
    for name, content in app._static_files().items():
        text = content.decode()
        assert "http://" not in text.replace("http://www.w3.org", ""), name
        assert "https://" not in text, name
        assert "innerHTML" not in text, name
        assert not (name.endswith(".html") and ("onclick" in text or "style=" in text)), name
        assert browser.get(f"/static/{name}").status_code == 200


def test_a_change_is_told_at_once_and_its_absence_after_a_while(browser: Browser, store: Store) -> None:
    version = browser.ask("/api/changes?after=x")["version"]
    assert browser.clock.waits == []
    assert browser.ask(f"/api/changes?after={version}")["version"] == version
    assert sum(browser.clock.waits) == pytest.approx(app.LONGEST)
    assert max(browser.clock.waits) < 1


def test_more_questions_than_threads_are_answered_without_waiting(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    none_left = threading.BoundedSemaphore(1)
    none_left.acquire()
    monkeypatch.setattr(browser.page, "_waiting", none_left)
    version = browser.ask("/api/changes?after=x")["version"]
    answer = browser.ask(f"/api/changes?after={version}")
    assert (answer["again_after"], browser.clock.waits) == (app.LATER, [])


def test_the_end_of_the_server_ends_the_waiting(browser: Browser) -> None:
    version = browser.ask("/api/changes?after=x")["version"]
    browser.stop.set()
    browser.get(f"/api/changes?after={version}")
    assert len(browser.clock.waits) <= 1
