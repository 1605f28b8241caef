"""Operation: metrics, health, systemd, logs, and the machine that the program runs on."""
