"""Does the broker accept the box, and may the box publish on its topics?"""

from __future__ import annotations

from pathlib import Path

from edge import __version__
from edge.clock import Clock
from edge.commands.check.verdict import Live, Warn
from edge.config import CameraSettings, Settings
from edge.config.mqtt import parse_proxy
from edge.delivery import Naming, Probe, Topics, last_will, probe
from edge.delivery.home_assistant import announcements
from edge.errors import BrokerError
from edge.release.messages import StatusEncoder
from edge.release.sizes import Sizes, largest


def check_broker(
    settings: Settings, folder: Path, clock: Clock, number: int = 0, live: Live | None = None
) -> str:
    """Connect once to one of the brokers, as the daemon does.

    A configured client id is used as it is, since rights may depend on it: a daemon that runs with it is
    disconnected for a moment. live: the daemon that runs the test; with such an id its own connection is
    reported, and none is opened. number: of the broker, from 0.

    Raises BrokerError where the broker does not accept the box, one of its topics, or the size of its
    messages; Warn where the daemon works without something that the broker does not do.
    """
    where = _way(settings, number)
    topics = Topics.of(settings)
    if live and topics.id:
        return _as_the_daemon(topics.id, live)
    sizes = largest(settings, topics)
    trials = _trials(settings, topics, sizes)
    result = probe(
        settings.mqtt,
        topics.id or f"{topics.client_id}-check",
        clock=clock,
        secrets_beside=folder,
        sizes=trials,
        # The daemon's own connection shows that its will is accepted; one that breaks here would send it.
        will=None
        if live
        else last_will(topics, StatusEncoder(settings.site.name, settings.box, __version__)),
        broker=number,
    )
    return _judged(result, where, settings, sizes, len(trials))


def _judged(result: Probe, where: str, settings: Settings, sizes: Sizes, trials: int) -> str:
    """What the connection has shown. trials: how many topics were tried. Raises as `check_broker`."""
    if not result.connected:
        raise BrokerError(f"{where}: {result.reason}")
    connected = f"{where}: connected in {1000 * result.round_trip:.0f} ms ({result.security})"
    if result.refused:
        refused = dict.fromkeys(map(Naming.of(settings.mqtt).at_broker, result.refused))
        raise BrokerError(f"{connected}, but the broker refuses the topics {', '.join(refused)}")
    if set(result.too_large) - {Topics.of(settings).box_today}:
        raise BrokerError(f"{connected}, but {_too_small(result, sizes.row)}")
    if losses := _losses(result, sizes):
        raise Warn(f"{connected}, but the broker is limited: {'; '.join(losses)}")
    if result.refused is None:
        return f"{connected}; the broker does not report on which topics this box may publish"
    return f"{connected}; this box may publish on all its {trials} topics"


def _as_the_daemon(client_id: str, live: Live) -> str:
    """Whether the daemon is connected: a second connection of its id would end it, and send its last will."""
    name = f"mqtt.client_id = {client_id!r}"
    if not live.is_connected:
        raise BrokerError(f"{name}: the daemon is not connected, see its log")
    return (
        f"{name}: the daemon is connected; its topics were not tested, which `instore-edge check` does while "
        "the daemon is stopped"
    )


def _way(settings: Settings, number: int) -> str:
    """The broker and the proxy on the way to it, for a person."""
    broker = settings.mqtt.brokers[number]
    where = broker.name if broker.path else broker.address
    return (
        f"{where} through the proxy {parse_proxy(settings.mqtt.proxy).address}"
        if settings.mqtt.proxy
        else where
    )


def _losses(result: Probe, sizes: Sizes) -> list[str]:
    return result.limits.losses + ([_too_small(result, sizes.today)] if result.too_large else [])


def _too_small(result: Probe, size: int) -> str:
    limit = f"packets of at most {result.limits.packet} bytes" if result.limits.packet else "smaller messages"
    return (
        f"it takes {limit} only, and messages of this configuration may have {size} bytes of payload: "
        "raise the broker's limit"
    )


def _trials(settings: Settings, topics: Topics, sizes: Sizes) -> dict[str, int]:
    """All topics of the daemon; for two of the box, the bytes of the largest payload as well."""
    of_box = [topics.box_status, topics.box_today, topics.box_flow, topics.box_periods]
    of_cameras = [topic for camera in settings.cameras for topic in _camera_topics(topics, camera)]
    none = dict.fromkeys([*of_box, *of_cameras], 0)
    announced = {topic: len(payload) for topic, payload in announcements(settings, topics).items()}
    return none | {topics.box_today: sizes.today, topics.box_periods: sizes.row} | announced


def _camera_topics(topics: Topics, camera: CameraSettings) -> list[str]:
    name, zones = camera.name, camera.counted_zones if camera.ages else ()
    of_zone = (topics.counts, topics.latest, topics.today, topics.periods)
    by_zone = [kind(name, zone) for zone in zones for kind in of_zone]
    return [topics.camera_status(name), topics.flow(name), *by_zone]
