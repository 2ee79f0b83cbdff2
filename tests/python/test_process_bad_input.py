"""What a Process refuses, in which words."""

from __future__ import annotations

import datetime

import forkful
import pytest


@pytest.mark.parametrize("target", [3, 0, "f"])
def test_a_target_that_can_not_be_called_is_refused_at_once(context, target):
    with pytest.raises(TypeError, match=rf"must be a callable, not {target!r}: give f and args="):
        context.Process(target=target)


def test_a_target_in_the_place_of_the_group_is_told_its_own(context):
    with pytest.raises(AssertionError, match="group argument must be None .* given as target="):
        context.Process(abs)


def test_a_timeout_of_join_that_is_no_number_is_named(context):
    child = context.Process(target=abs, args=(1,))
    child.start()
    for wrong in ("1", datetime.timedelta(seconds=1)):
        kind = type(wrong).__name__
        with pytest.raises(TypeError, match=f"number of seconds or None, not {kind}"):
            child.join(wrong)
    child.join(20.0)
    assert child.exitcode == 0


def test_this_process_can_not_be_joined_by_itself():
    with pytest.raises(AssertionError, match="not a child of this process: only the one that made"):
        forkful.current_process().join()
