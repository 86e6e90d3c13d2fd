"""Frames that were answered in, those that a prompt may still name out: the newest, and those that are pinned.

    answered   the newest two horizons of frames, each of which somebody may see on a screen just now; and those of the
               last RECENT_S, as far as they fit into RECENT_BYTES
    pinned     single older ones, each with a thinned series of the frames since, so that a prompt on it can be brought
               to the newest frame: those that a client holds, and those that the newest prompts were given on

A series has at most SERIES frames (fewer where they are large): when it is full, every second one goes, and from then
on only every second (fourth, ...) frame is taken. Features are not kept: whoever needs them encodes these frames again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from msgspec.structs import replace

from stream.errors import PromptError
from stream.held_prompt import HeldPrompt
from stream.messages import Frame, FrameRef, Prompt, TrackedFrame, Tracks

RECENT_S = 2.0
RECENT_BYTES = 32 << 20  # of pictures: 46 frames of 640x360, 5 of 1920x1080
PINS = 4  # at most; the oldest gives way
STEPS_BACK = 16  # of an object; the oldest gives way
PIN_S = 30.0  # how long a frame stays pinned
SERIES = 16  # frames at most, the pinned one included
SERIES_BYTES = 32 << 20  # of their pictures; two frames are kept in any case


@dataclass
class Pin:
    """A pinned frame and the thinned series of those since."""

    series: list[TrackedFrame]  # the pinned frame first
    until_s: float
    stride: int = 1  # every so many frames one is taken
    passed: int = 0  # frames since the last that was taken

    @property
    def ref(self) -> FrameRef:
        """The name of the pinned frame."""
        return FrameRef.of(self.series[0].frame.stamp)

    def add(self, tracked: TrackedFrame) -> None:
        """Take in the newest frame."""
        self.passed += 1
        if self.passed < self.stride:
            return
        self.passed = 0
        self.series.append(tracked)
        most = max(2, min(SERIES, SERIES_BYTES // self.series[0].frame.rgb.nbytes))
        while len(self.series) > most:
            self.series[1:] = self.series[2::2]
            self.stride *= 2


@dataclass(frozen=True)
class StepBack:
    """What brings an object back to what it was before some points were given."""

    prompt: HeldPrompt  # with its frame; without points: the object's own mask there, as it was then
    newest: HeldPrompt | None  # the prompt that was the object's newest then


class PastFrames:
    """What prompts may name, and each object's newest prompt with the frame that it was given on."""

    def __init__(self, least: int) -> None:
        self.least = least  # frames that are there in any case
        self.answered: deque[TrackedFrame] = deque()  # oldest first
        self.pins: list[Pin] = []  # the one whose pinning is longest ago first
        self.newest_prompts: dict[int, HeldPrompt] = {}  # by object id
        self.steps_back: dict[int, list[StepBack]] = {}  # by object id; the newest last
        self.now_s = 0.0  # as of the last `tick`

    def tick(self, now_s: float) -> None:
        """Let the pins go whose time is over."""
        self.now_s = now_s
        self.pins = [pin for pin in self.pins if pin.until_s > now_s]

    def record(self, tracks: Tracks) -> None:
        """A frame was answered; one with prompts is pinned, so that they can be changed for a while."""
        tracked = TrackedFrame(frame=replace(tracks.frame, truth=None), objects=tracks.objects)
        for pin in self.pins:
            pin.add(tracked)
        self.answered.append(tracked)
        self._drop_oldest()
        given = [p for p in tracks.prompts if p.kind != "restore"]
        for prompt in given:
            self._note_step_back(prompt, FrameRef.of(tracks.frame.stamp))
            self.note_newest(replace(prompt, frame=FrameRef.of(tracks.frame.stamp)))
        if given:
            self.pin(FrameRef.of(tracks.frame.stamp))

    def clear(self) -> None:
        """Forget every frame: those that come have another size."""
        self.answered.clear()
        self.pins.clear()
        self.newest_prompts.clear()
        self.steps_back.clear()

    def forget(self, object_id: int) -> None:
        """Forget the prompts of an object that is followed no longer."""
        self.newest_prompts.pop(object_id, None)
        self.steps_back.pop(object_id, None)

    def begin_steps(self, object_id: int) -> None:
        """An object begins: there is nothing before that."""
        self.steps_back[object_id] = []

    def note_newest(self, prompt: Prompt) -> None:
        """A prompt was given, on the frame that it names."""
        self.newest_prompts[prompt.object_id] = HeldPrompt.of(prompt)

    def add_step(self, object_id: int, prompt: HeldPrompt) -> None:
        """Points of an object are given; `prompt` brings it back to what it is now."""
        steps = self.steps_back.setdefault(object_id, [])
        steps.append(StepBack(prompt, self.newest_prompts.get(object_id)))
        del steps[:-STEPS_BACK]

    def _note_step_back(self, prompt: Prompt, ref: FrameRef) -> None:
        """A prompt has begun on the newest frame, `ref`."""
        before = self.newest_prompts.get(prompt.object_id)
        if prompt.kind == "add":
            self.begin_steps(prompt.object_id)
        elif before is not None and before.frame == ref:  # both came between two frames
            self.add_step(prompt.object_id, before)
        elif len(self.answered) > 1:
            last = FrameRef.of(self.answered[-2].frame.stamp)  # before the points: the object was as it was
            self.pin(last)
            self.add_step(prompt.object_id, unchanged(prompt.object_id, last))

    def newest(self) -> FrameRef:
        """The name of the frame that was answered last; PromptError where there is none."""
        if not self.answered:
            raise PromptError("no frame has been tracked yet")
        return FrameRef.of(self.answered[-1].frame.stamp)

    def pin(self, ref: FrameRef) -> Pin:
        """Keep a frame for PIN_S from now on; PromptError where it is gone."""
        pin = next((p for p in self.pins if p.ref == ref), None)
        if pin is None:
            series = [t for t in self.answered if t.frame.stamp.frame_id >= ref.frame_id]
            if not series or FrameRef.of(series[0].frame.stamp) != ref:
                raise PromptError(f"frame {_name(ref)} is gone; there are {self._inventory()}")
            pin = Pin(series[:1], self.now_s)
            for tracked in series[1:]:
                pin.add(tracked)
        else:
            self.pins.remove(pin)
        pin.until_s = self.now_s + PIN_S
        self.pins = [*self.pins, pin][-PINS:]
        return pin

    def release(self, ref: FrameRef) -> None:
        """Keep a frame no longer, unless it is the frame of an object's newest prompt."""
        if all(p.frame != ref for p in self.newest_prompts.values()):
            self.pins = [pin for pin in self.pins if pin.ref != ref]

    def chain(self, pin: Pin) -> list[TrackedFrame]:
        """The pinned frame, and those since as far as they are there: the last is the newest that was answered."""
        recent = [t for t in self.answered if t.frame.stamp.frame_id > pin.ref.frame_id]
        first = recent[0].frame.stamp.frame_id if recent else None
        return [t for t in pin.series if first is None or t.frame.stamp.frame_id < first] + recent

    def chain_from(self, frame_id: int, epoch: int) -> list[TrackedFrame]:
        """As `chain`, of the pinned frame with that id; empty where there is none."""
        for pin in self.pins:
            if (pin.ref.frame_id, pin.ref.epoch) == (frame_id, epoch):
                return self.chain(pin)
        return []

    def _drop_oldest(self) -> None:
        """Let the frames go that are too old, or too many."""
        newest = self.answered[-1].frame
        most = max(self.least, RECENT_BYTES // newest.rgb.nbytes)
        while len(self.answered) > self.least:
            age_ns = newest.stamp.captured_ns - self.answered[0].frame.stamp.captured_ns
            if len(self.answered) <= most and 0 <= age_ns <= RECENT_S * 1e9:
                break
            self.answered.popleft()

    def _inventory(self) -> str:
        """Which frames are there."""
        if not self.answered:
            return "none yet"
        first, last = (self.answered[i].frame.stamp for i in (0, -1))
        span = f"frames {first.frame_id} to {last.frame_id} of session {last.session}"
        pinned = [str(pin.ref.frame_id) for pin in self.pins if pin.ref.frame_id < first.frame_id]
        return f"{span}, and {', '.join(pinned)}" if pinned else span


def unchanged(object_id: int, ref: FrameRef) -> HeldPrompt:
    """The prompt that makes an object what it was on a frame: more points of it, but none."""
    return HeldPrompt.of(Prompt(object_id=object_id, kind="refine", frame=ref))


def thin(frames: list[Frame], most: int) -> list[Frame]:
    """At most so many of the frames, evenly; the last one always."""
    if len(frames) <= most:
        return frames
    return [frames[round((i + 1) * len(frames) / most) - 1] for i in range(most)]


def _name(ref: FrameRef) -> str:
    return f"{ref.frame_id} of session {ref.session}" + (f", epoch {ref.epoch}" if ref.epoch else "")
