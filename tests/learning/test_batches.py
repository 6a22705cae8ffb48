"""Batches of nearly equal size, in a stream."""

from sknic.learning.batches import EvenBatches, Steps


def test_no_batch_is_left_with_a_single_sample():
    sizes = [len(batch) for batch in EvenBatches(17, 16)]
    assert sorted(sizes) == [8, 9]
    assert sorted(i for batch in EvenBatches(17, 16) for i in batch) == list(range(17))
    assert [len(batch) for batch in EvenBatches(3, 2)] == [3]


def test_a_stream_goes_through_whole_passes_and_ends_at_the_total():
    steps = Steps(EvenBatches(10, 5), every=3, total=8)
    lengths, drawn = [], []
    while steps.taken < steps.total:
        interval = list(steps)
        lengths.append(len(interval))
        drawn += interval
    assert lengths == [3, 3, 2]
    for i in range(0, 8, 2):
        assert sorted(drawn[i] + drawn[i + 1]) == list(range(10))


def test_the_next_batch_of_a_pass_is_announced_while_the_one_before_is_used():
    announced, drawn = [], []
    steps = Steps(EvenBatches(12, 4), every=2, total=5, announce=announced.append)
    while steps.taken < steps.total:
        drawn += list(steps)
    # The first batch of a pass is not known before, and after the fifth there is none.
    assert announced == [drawn[1], drawn[2], drawn[4]]
