import pytest

from shoveler.control import (
    Committed,
    Confirm,
    Finished,
    Options,
    Returned,
    State,
    Stop,
    heard_by_main,
    heard_by_receiver,
    say,
    socket_pair,
)


@pytest.fixture
def pair():
    main, receiver = socket_pair()
    yield main, receiver
    main.close()
    receiver.close()


def test_messages_there_and_back(pair):
    main, receiver = pair
    to_receiver = [
        Confirm(7),
        Returned({"a:1": 2}),
        Options(verify=False, forward=[("::1", 5)], ip_map={"all": "x"}),
        Stop(),
    ]
    for message in to_receiver:
        assert say(main, message)  # type: ignore[arg-type]
    assert heard_by_receiver(receiver) == to_receiver
    assert heard_by_receiver(receiver) == []
    to_main = [Committed(9), State(held=1, buffer=0.5, problem="full"), Finished(9)]
    for message in to_main:
        assert say(receiver, message)  # type: ignore[arg-type]
    assert heard_by_main(main) == to_main


def test_nobody_waits_for_the_other(pair):
    main, receiver = pair
    said = 0
    while say(receiver, Committed(said)):
        said += 1
    assert said > 10
    assert heard_by_main(main)[-1] == Committed(said - 1)  # type: ignore[index]


def test_the_end_is_noticed_after_everything_was_heard(pair):
    main, receiver = pair
    say(receiver, Finished(3))
    receiver.close()
    assert heard_by_main(main) == [Finished(3)]
    assert heard_by_main(main) is None
    with pytest.raises(OSError):
        say(main, Stop())


def test_a_killed_main_is_noticed(pair):
    main, receiver = pair
    say(receiver, Committed(1))  # unread data makes the kernel say "connection reset"
    main.close()
    assert heard_by_receiver(receiver) is None
