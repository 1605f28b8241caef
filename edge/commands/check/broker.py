"""Does the broker accept the box, and may the box publish on its topics?"""

from __future__ import annotations

from pathlib import Path

from edge.clock import Clock
from edge.config import CameraSettings, Settings
from edge.delivery import Topics, probe
from edge.errors import BrokerError


def check_broker(settings: Settings, folder: Path, clock: Clock) -> str:
    """Connect once. Raises BrokerError where the broker does not accept the box or one of its topics."""
    where = f"{settings.mqtt.host}:{settings.mqtt.port}"
    topics = _topics(settings)
    result = probe(settings.mqtt, f"{settings.box}-check", clock=clock, secrets_beside=folder, topics=topics)
    if not result.connected:
        raise BrokerError(f"{where}: {result.reason}")
    connected = f"{where}: connected in {1000 * result.round_trip:.0f} ms ({result.security})"
    if result.refused is None:
        return f"{connected}; the broker does not report on which topics this box may publish"
    if result.refused:
        raise BrokerError(f"{connected}, but the broker refuses the topics {', '.join(result.refused)}")
    return f"{connected}; this box may publish on all its {len(topics)} topics"


def _topics(settings: Settings) -> list[str]:
    """All topics that the daemon publishes on."""
    topics = Topics(settings.mqtt.prefix, settings.site.name, settings.box)
    of_box = [topics.box_status, topics.box_today, topics.box_flow, topics.box_periods]
    return of_box + [topic for camera in settings.cameras for topic in _camera_topics(topics, camera)]


def _camera_topics(topics: Topics, camera: CameraSettings) -> list[str]:
    name, zone = camera.name, camera.zone
    if not camera.ages:
        return [topics.camera_status(name), topics.flow(name)]
    of_zone = (topics.counts, topics.latest, topics.today, topics.periods)
    return [topics.camera_status(name), topics.flow(name), *(kind(name, zone) for kind in of_zone)]
