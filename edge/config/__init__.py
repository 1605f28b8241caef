"""Settings of a box: read from TOML, validated, with secrets in files and masked wherever they are shown."""

from edge.config.load import load_settings, state_directory
from edge.config.secrets import blanks_in_secrets, read_secret, secret_path
from edge.config.settings import (
    DAY,
    BackendSetting,
    CameraSettings,
    CropSettings,
    DetectionSettings,
    MetricsSettings,
    ModelSettings,
    MqttSettings,
    OutboxSettings,
    Precision,
    PrecisionSetting,
    PrivacySettings,
    Section,
    Settings,
    SiteSettings,
    TrackingSettings,
    WindowSettings,
)

__all__ = [
    "DAY",
    "BackendSetting",
    "CameraSettings",
    "CropSettings",
    "DetectionSettings",
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
    "WindowSettings",
    "blanks_in_secrets",
    "load_settings",
    "read_secret",
    "secret_path",
    "state_directory",
]
