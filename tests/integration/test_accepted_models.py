"""Every checkpoint, adapter and configuration of `docs/accepted.md` is accepted, assumed or refused as it says."""

import re
from pathlib import Path

import pytest

from salmu_demo.errors import ModelError
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.source import find_model
from tests.accepted import Case
from tests.accepted.models import CASES, Named


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_model_is_accepted_assumed_or_refused_as_the_table_says(tiny_assets: Path, tmp_path: Path, case: Case):
    named: Named = case.make(tmp_path)
    if case.outcome == "refused":
        with pytest.raises(ModelError, match=case.expected) as refused:
            Encoder(find_model(named.reference, named.architecture, named.trust_pickle))
        assert "\n" not in str(refused.value)
        return
    source = find_model(named.reference, named.architecture, named.trust_pickle)
    Encoder(source)
    if case.outcome == "accepted":
        assert source.remarks == ()
    else:
        assert re.search(case.expected, " ".join(source.remarks))
