from tests.speech import real_conversation, real_speech, voice_models, whisper_model

__all__ = ["real_conversation", "real_speech", "voice_models", "whisper_model"]
