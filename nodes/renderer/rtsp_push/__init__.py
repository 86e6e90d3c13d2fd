"""Pictures to an RTSP server: `pusher.py` in the renderer's process, all that can hang in a process of its own."""
