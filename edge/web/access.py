"""Who may see the page: a password, sessions, and how fast passwords may be tried."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from edge.clock import Clock
from edge.errors import ConfigurationError

SHORTEST = 12
"""Characters of a password: with the limit below, guessing takes longer than a person lives."""

SESSION = 12 * 3600.0
"""Seconds after which somebody has to give the password again."""

MOST_SESSIONS = 100

TRIES = 5
"""Wrong passwords that a client may give in a row."""

TRIES_OF_ALL = 20
"""The same of all clients of other machines together: one attacker may have many addresses. Nobody there can
use up the tries of this machine."""

REFILL = 30.0
"""Seconds for each further try."""

MOST_CLIENTS = 1000


def checked_password(text: str, key: str) -> str:
    """The password, long enough. Raises ConfigurationError."""
    if len(text) < SHORTEST:
        raise ConfigurationError(f"{key}: the password is too short; allowed: {SHORTEST} characters or more")
    return text


class Limit:
    """A number of tries, which grows back by one every `REFILL` seconds."""

    def __init__(self, tries: int, now: float) -> None:
        self._most = self._left = float(tries)
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until the next try is allowed."""
        self._left = min(self._most, self._left + (now - self._at) / REFILL)
        self._at = now
        return max(0.0, (1 - self._left) * REFILL)

    def use(self) -> None:
        """Count one."""
        self._left -= 1


class Access:
    """The password and the open sessions; for several threads. password: None lets everybody in."""

    def __init__(self, password: str | None, clock: Clock) -> None:
        self._digest = _digest(password) if password is not None else None
        self._clock = clock
        self._guard = threading.Lock()
        self._sessions: OrderedDict[str, float] = OrderedDict()
        self._clients: OrderedDict[str, Limit] = OrderedDict()
        self._everybody = Limit(TRIES_OF_ALL, clock.monotonic())

    def renew(self, password: str | None) -> None:
        """Take this password from now on; another than before ends all sessions."""
        digest = _digest(password) if password is not None else None
        with self._guard:
            if digest != self._digest:
                self._digest = digest
                self._sessions.clear()

    @property
    def is_open(self) -> bool:
        """Whether no password is needed."""
        return self._digest is None

    def wait(self, client: str) -> float:
        """Seconds until this client may try a password; 0: now."""
        with self._guard:
            now = self._clock.monotonic()
            own = self._limit(client, now).wait(now)
            return own if is_this_machine(client) else max(own, self._everybody.wait(now))

    def log_in(self, client: str, password: str) -> str | None:
        """The token of a new session; None where the password is wrong, which is counted."""
        tried = _digest(password)
        with self._guard:
            right = self._digest is not None and hmac.compare_digest(tried, self._digest)
            now = self._clock.monotonic()
            if not right:
                self._limit(client, now).use()
                if not is_this_machine(client):
                    self._everybody.use()
                return None
            self._clients.pop(client, None)
            token = secrets.token_urlsafe(32)
            self._sessions[token] = now + SESSION
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
            return token

    def knows(self, token: str) -> bool:
        """Whether this is the token of an open session, or none is needed."""
        if self.is_open:
            return True
        with self._guard:
            return self._sessions.get(token, 0.0) > self._clock.monotonic()

    def log_out(self, token: str) -> None:
        """End a session."""
        with self._guard:
            self._sessions.pop(token, None)

    def _limit(self, client: str, now: float) -> Limit:
        limit = self._clients.setdefault(client, Limit(TRIES, now))
        self._clients.move_to_end(client)
        while len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return limit


def is_this_machine(client: str) -> bool:
    """Whether an address is of the loopback interface."""
    try:
        address = ip_address(client)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _digest(password: str) -> bytes:
    """Of equal length for every password, so that comparing takes the same time.

    surrogatepass: JSON can hold half a character, and a try with one is a try.
    """
    return hashlib.sha256(password.encode(errors="surrogatepass")).digest()
