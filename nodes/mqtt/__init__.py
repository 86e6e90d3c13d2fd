"""What an MQTT broker, and Home Assistant there, is told of the run."""
