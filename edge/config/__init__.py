"""Settings of a box: read from TOML, validated, with secrets in files and masked wherever they are shown."""

from edge.config.fields import DAY, Section
from edge.config.load import load_settings, state_directory
from edge.config.mqtt import Broker, MqttSettings
from edge.config.secrets import blanks_in_secrets, read_secret, secret_path
from edge.config.settings import (
    BackendSetting,
    CameraSettings,
    CropSettings,
    DetectionSettings,
    HistorySettings,
    LineSettings,
    MetricsSettings,
    ModelSettings,
    OutboxSettings,
    Precision,
    PrecisionSetting,
    PrivacySettings,
    Settings,
    SiteSettings,
    TrackingSettings,
    WebhookSettings,
    WebSettings,
    WindowSettings,
    ZoneSettings,
)

__all__ = [
    "DAY",
    "BackendSetting",
    "Broker",
    "CameraSettings",
    "CropSettings",
    "DetectionSettings",
    "HistorySettings",
    "LineSettings",
    "MetricsSettings",
    "ModelSettings",
    "MqttSettings",
    "OutboxSettings",
    "Precision",
    "PrecisionSetting",
    "PrivacySettings",
    "Section",
    "Settings",
    "SiteSettings",
    "TrackingSettings",
    "WebSettings",
    "WebhookSettings",
    "WindowSettings",
    "ZoneSettings",
    "blanks_in_secrets",
    "load_settings",
    "read_secret",
    "secret_path",
    "state_directory",
]
