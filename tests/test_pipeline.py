"""The way of the data has no loops, and the roles read what it says."""

from __future__ import annotations

from attribune import pipeline
from attribune.model.position import Topic


def test_a_stage_reads_only_what_stages_above_it_write_and_what_it_writes_itself() -> None:
    written = {Topic.CONTROL}
    for stage in pipeline.WAY:
        assert set(stage.reads) <= written | set(stage.writes), stage.role
        written |= set(stage.writes)


def test_each_topic_but_control_has_one_kind_of_writer() -> None:
    writers = [
        topic for stage in pipeline.WAY for topic in stage.writes if topic is not Topic.CONTROL
    ]
    assert len(writers) == len(set(writers))


def test_each_view_has_one_writer() -> None:
    views = [view for stage in pipeline.WAY for view in stage.views]
    assert len(views) == len(set(views))
