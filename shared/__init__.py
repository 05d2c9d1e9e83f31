"""What all four services speak: domain, events, storage, messaging and telemetry."""
