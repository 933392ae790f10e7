from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from unmask.datasets.splits import RANGES, SPLITS, split_of


def test_the_ranges_part_the_thousand_without_gap_or_overlap():
    numbers = [number for numbers in RANGES.values() for number in numbers]
    assert sorted(numbers) == list(range(1000))
    assert set(SPLITS) == {"holdout", "test", "gate", "val", "train"}


def test_known_identities_keep_their_split():
    # written down from sha256, so that a change of the rule, which would mix holdout into train,
    # is noticed
    known = {
        "George_W_Bush": "holdout",
        "Serena_Williams": "holdout",
        "appearance_model/0/000295": "holdout",
        "appearance_model/0/000000": "test",
        "Aaron_Eckhart": "gate",
        "appearance_model/0/000022": "gate",
        "appearance_model/0/000030": "val",
        "appearance_model/0/000124": "val",
        "Tony_Blair": "train",
        "Courtney_Love": "train",
    }
    assert {identity: split_of(identity) for identity in known} == known


@given(st.text(max_size=20))
def test_text_and_its_bytes_fall_into_the_split_of_their_hash(key):
    number = int(sha256(key.encode()).hexdigest(), 16) % 1000
    assert number in RANGES[split_of(key)]
    assert split_of(key.encode()) == split_of(key)


def test_shares_are_as_the_ranges_say():
    names = [split_of(f"person {index}") for index in range(4000)]
    for split, numbers in RANGES.items():
        share = names.count(split) / len(names)
        assert abs(share - len(numbers) / 1000) < 0.025
