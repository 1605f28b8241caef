"""What operators see and the machine around: metrics, health, systemd, logs."""
