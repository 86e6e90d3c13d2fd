"""The node without sockets: it keeps what a stage sends and reports, and drives a stage as the runtime does."""

from __future__ import annotations

from builders import frame, masks, seeds

from stream.commands import Command, RemoveObject, Start
from stream.in_memory import InMemoryNode
from stream.messages import Frame, Masks, Message, Seeds
from stream.node import NodeContext, Stage
from stream.reports import Done, Report


class Echo(Stage):
    """Answers each frame with masks of its number, but for odd ones, and notes its hooks in order."""

    def __init__(self, node: NodeContext) -> None:
        self.node = node
        self.hooks: list[str] = []

    def handle_command(self, command: Command) -> None:
        self.hooks.append(type(command).__name__)

    def step(self, message: Message) -> bool:
        assert isinstance(message, Frame)
        frame_id = message.stamp.frame_id
        self.hooks.append(f"step {frame_id}")
        if frame_id % 2:
            return False
        self.node.send(masks(frame_id))
        self.node.report(Done())
        return True

    def on_idle(self) -> None:
        self.hooks.append("idle")


def test_commands_are_handled_in_the_order_they_are_given() -> None:
    node = InMemoryNode()
    stage = Echo(node)
    node.start(stage, Start(), RemoveObject(object_id=3))
    assert stage.hooks == ["Start", "RemoveObject"]


def test_a_message_is_one_round_of_the_node_and_counts_as_a_step_unless_it_was_let_go() -> None:
    node = InMemoryNode()
    stage = Echo(node)
    assert [node.give(stage, frame(i)) for i in range(3)] == [True, False, True]
    assert node.steps == 2
    assert stage.hooks == ["idle", "step 0", "idle", "step 1", "idle", "step 2"]


def test_what_is_taken_is_gone_and_the_rest_stays() -> None:
    node = InMemoryNode()
    for message in (masks(0), seeds(0, 1), masks(1)):
        node.send(message)
    node.report(Done())
    assert [m.stamp.frame_id for m in node.take(Masks)] == [0, 1]
    assert node.take(Masks) == []
    assert [type(m) for m in node.take(Seeds)] == [Seeds]
    assert node.take(Report) == [Done()]
    assert node.sent == node.reports == []


def test_all_messages_and_reports_can_be_taken_in_the_order_they_were_sent() -> None:
    node = InMemoryNode()
    sent = [masks(0), seeds(0, 1), masks(1)]
    node.report(Done())
    for message in sent:
        node.send(message)
    assert [type(m) for m in node.take(Message)] == [Masks, Seeds, Masks, Done]
    assert node.take(Message) == []


def test_a_step_that_no_message_begins_is_counted_once_it_is_over() -> None:
    node = InMemoryNode()
    with node.measured_step():
        assert node.steps == 0
    assert node.steps == 1


def test_time_and_room_are_what_the_driver_says() -> None:
    node = InMemoryNode(now_s=5.0)
    assert node.now_s() == 5.0
    assert node.ready
    node.time_s, node.has_room = 6.5, False
    assert node.now_s() == 6.5
    assert not node.ready


def test_wakes_and_the_end_of_the_feed_are_noted() -> None:
    node = InMemoryNode()
    node.wake()
    node.wake()
    assert node.wakes == 2
    assert not node.ended
    node.end_feed()
    assert node.ended


def test_what_goes_to_the_world_is_kept_and_control_replies_as_the_test_wrote() -> None:
    node = InMemoryNode()
    node.open_broadcast().send([b"topic", b"body"])
    node.open_broadcast().close()
    assert node.broadcast.sent == [[b"topic", b"body"]]
    assert node.broadcast.closed
    node.control.replies.append(b"reply")
    control = node.open_control()
    control.send(b"request")
    assert (control.recv(10), control.recv(10)) == (b"reply", None)
    control.close()
    assert (node.control.sent, node.control.closed) == ([b"request"], True)


def test_it_is_a_context_of_a_stage() -> None:
    context: NodeContext = InMemoryNode()  # held by the type checker as well
    context.still_working()
    assert [name for name in dir(NodeContext) if not name.startswith("_") and not hasattr(context, name)] == []
