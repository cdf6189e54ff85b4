"""What every `Gate` holds."""

from __future__ import annotations

from collections.abc import Sequence

from deltanas.journal import Journal
from deltanas.program import Refused
from deltanas.records import Draft
from deltanas.seams import Gate


class GateContract:
    """Judges drafts, by the draft and by the programs that it was told of, in whatever portions."""

    def gate(self) -> Gate:
        """A new one, which was told of nothing."""
        raise NotImplementedError("say how the gate is made")

    def passing(self) -> Sequence[Draft]:
        """Two drafts or more that pass a new gate, one after the other."""
        raise NotImplementedError("give drafts that pass")

    def refused(self) -> Sequence[Draft]:
        """Drafts that a new gate refuses, or one that was told of `passing`."""
        raise NotImplementedError("give drafts that are refused")

    def stages(self) -> Sequence[str]:
        """The stages of its refusals."""
        return (self.gate().stage,)

    def test_nothing_to_judge(self) -> None:
        assert list(self.gate().judge([])) == [], "there was no draft"

    def test_what_should_pass_passes(self) -> None:
        verdicts = self.gate().judge(self.passing())
        assert len(verdicts) >= 2, "give two drafts or more"
        assert not [verdict for verdict in verdicts if isinstance(verdict, Refused)], f"refused: {verdicts}"

    def test_what_should_be_refused_is_refused_with_a_reason(self) -> None:
        verdicts = self._told().judge(self.refused())
        assert verdicts, "give a draft or more"
        for verdict in verdicts:
            assert isinstance(verdict, Refused), f"passed: {verdict}"
            assert verdict.stage in self.stages(), f"stage {verdict.stage!r} is another gate's"
            assert verdict.reason, "a refusal says why"

    def test_verdicts_come_in_the_order_of_the_drafts(self) -> None:
        mixed = self._mixed()
        verdicts = self.gate().judge(mixed)
        assert len(verdicts) == len(mixed), f"{len(mixed)} drafts have {len(verdicts)} verdicts"
        for draft, verdict in zip(mixed, verdicts, strict=True):
            if isinstance(verdict, Draft):
                assert verdict.program == draft.program, "a draft comes back as another program"

    def test_a_gate_takes_nothing_away(self) -> None:
        for draft, verdict in zip(self.passing(), self.gate().judge(self.passing()), strict=True):
            if isinstance(verdict, Draft):
                for name in ("params", "flops", "trace", "probe", "effective"):
                    known = getattr(draft, name)
                    assert known is None or getattr(verdict, name) is not None, f"`{name}` was known before"

    def test_judging_changes_nothing(self) -> None:
        for gate in (self.gate(), self._told()):
            mixed = self._mixed()
            first = gate.judge(mixed)
            assert gate.judge(mixed) == first, "the second time it says something else"
            assert [one for draft in mixed for one in gate.judge([draft])] == first, "one by one it says something else"

    def test_a_resumed_run_is_judged_as_the_undisturbed_one(self) -> None:
        undisturbed, resumed = self.gate(), self.gate()
        kept: list[Draft] = []
        for draft in self.passing():
            (verdict,) = undisturbed.judge([draft])
            if isinstance(verdict, Draft):
                undisturbed.remember([verdict])
                kept.append(verdict)
        resumed.remember(kept)
        resumed.told(Journal())
        mixed = self._mixed()
        assert resumed.judge(mixed) == undisturbed.judge(mixed), "told at once it says something else"

    def _mixed(self) -> list[Draft]:
        first, *rest = self.passing()
        return [first, *self.refused(), *rest]

    def _told(self) -> Gate:
        gate = self.gate()
        gate.remember([verdict for verdict in gate.judge(self.passing()) if isinstance(verdict, Draft)])
        return gate
