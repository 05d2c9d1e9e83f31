"""`recording.stitched` to `transcription.completed`: what was said, when, and by whom."""
