from tests.speech import real_conversation, real_speech, whisper_model

__all__ = ["real_conversation", "real_speech", "whisper_model"]
