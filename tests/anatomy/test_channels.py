"""Channels of fetus-16, as they stand in its list of landmarks."""

from fetusmap.anatomy import channel_per_landmark, channel_per_pair


def test_one_channel_for_each_landmark(skeleton):
    channels = channel_per_landmark(skeleton)
    assert len(channels) == 16
    assert channels.names == skeleton.landmarks
    assert channels.rows == tuple((n,) for n in range(16))


def test_one_channel_for_each_pair_after_the_midline(skeleton):
    channels = channel_per_pair(skeleton)
    assert len(channels) == 10
    assert channels.names == (
        "head",
        "neck",
        "spine",
        "sacrum",
        "left_shoulder|right_shoulder",
        "left_elbow|right_elbow",
        "left_wrist|right_wrist",
        "left_hip|right_hip",
        "left_knee|right_knee",
        "left_ankle|right_ankle",
    )
    # The paper counts from 1: head, neck, spine, sacrum are 1, 3, 7, 8, the shoulders 4 and 2.
    assert channels.rows == (
        (0,), (2,), (6,), (7,), (3, 1), (8, 4), (9, 5), (13, 10), (14, 11), (15, 12),
    )  # fmt: skip


def test_every_landmark_has_its_channel_and_its_name(skeleton):
    for channels in (channel_per_landmark(skeleton), channel_per_pair(skeleton)):
        for name, rows in zip(channels.names, channels.rows, strict=True):
            assert name == "|".join(skeleton.landmarks[row] for row in rows)
        assert sorted(row for rows in channels.rows for row in rows) == list(range(16))
