"""The drawn scene with a decoder that dies: what is claimed of its objects afterwards is true."""

from __future__ import annotations

import numpy as np
from builders import frame

from nodes.capture.sources import demo_scene
from nodes.decoder.node import make_stage as make_decoder
from nodes.tracker.node import make_stage as make_tracker
from stream.commands import DecoderRestarted, GivePrompt, Start, StartTracker
from stream.crops import uncrop_mask
from stream.in_memory import InMemoryNode
from stream.messages import Masks, Seeds, Tracks
from stream.settings.presets import load

CONFIG = load("lite", {"capture.demo_size": "320x180"})
DIES, AWAY, FRAMES = 30, 50, 130  # the decoder is gone for 2 s


def test_a_decoder_that_was_away_for_seconds_claims_no_object_where_it_is_not():
    scene = demo_scene(CONFIG.capture)
    tracker_node, decoder_node = InMemoryNode(), InMemoryNode()
    tracker, decoder = make_tracker(CONFIG, tracker_node), make_decoder(CONFIG, decoder_node)
    tracker_node.start(tracker, StartTracker())
    decoder_node.start(decoder, Start())
    for prompt in scene.prompts():
        tracker.handle_command(GivePrompt(prompt=prompt))
    states: dict[int, list[tuple[str, float]]] = {}
    for i in [*range(DIES), *range(DIES + AWAY, FRAMES)]:
        if i == DIES + AWAY:
            decoder_node = InMemoryNode()
            decoder = make_decoder(CONFIG, decoder_node)
            decoder_node.start(decoder, Start(restarts=1))
            tracker.handle_command(DecoderRestarted())
            states.clear()
        rgb, truth = scene.draw(i)
        tracker.step(frame(i, rgb=rgb))
        for tracks in tracker_node.take(Tracks):
            decoder.step(tracks)
        for seeds in decoder_node.take(Seeds):
            tracker.step(seeds)
        for masks in decoder_node.take(Masks):
            for o in masks.objects:
                mask, own = uncrop_mask(o.bbox, o.mask, masks.size), truth == o.object_id
                overlap = np.count_nonzero(mask & own) / max(1, np.count_nonzero(mask | own))
                states.setdefault(o.object_id, []).append((o.state, overlap))
    assert all(history[0][0] == "uncertain" for history in states.values())
    claims = [overlap for h in states.values() for state, overlap in h if state in ("tracked", "reacquired")]
    assert min(claims) > 0.7
    assert states[1][5][0] == "tracked"
    assert states[1][5][1] > 0.9
