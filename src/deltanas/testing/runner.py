"""What every `Runner` holds, on `digits`."""

from __future__ import annotations

from deltanas.program import Failed, Program, Refused, Trained
from deltanas.seams import Built, Runner
from deltanas.testing.examples import program

HEAD = """
import os, sys
import torch
from torch import nn


def supported_hyperparameters():
    return {"lr"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.classes = out_shape[0]
        self.lr = prm["lr"]
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], 32), nn.ReLU(), nn.Linear(32, out_shape[0])
        )

    def train_setup(self, prm):
        self.criteria = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.parameters(), lr=prm["lr"])
"""
FORWARD = """
    def forward(self, x):
        return self.layers(x)
"""
LEARN = """
    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            self.criteria(self(inputs), labels).backward()
            self.optimizer.step()
"""
HONEST = program(HEAD + FORWARD + LEARN)
"""A network that learns digits to about nine in ten in one epoch."""
SLOWER = program(HONEST.net, prm='{"batch": 16, "lr": 0.001}')


def learning(code: str) -> Program:
    """An honest network that runs `code`, one line, before it learns."""
    learn = LEARN.replace("for inputs, labels in train_data:", f"{code}\n        for inputs, labels in train_data:")
    return program(HEAD + FORWARD + learn)


def train_one(runner: Runner, candidate: Program, seed: int = 0) -> Trained | Failed:
    [(position, outcome)] = runner.train([candidate], seed=seed)
    assert position == 0, f"one program was given, and the outcome is that of number {position}"
    return outcome


def score_of(outcome: object) -> float:
    assert isinstance(outcome, Trained), f"not trained: {outcome}"
    return outcome.score


class RunnerContract:
    """Builds and trains programs somewhere else, and scores them alike wherever that is."""

    def runner(self) -> Runner:
        """One that is open, for `digits` and one epoch, with a time limit of seconds. It may serve all tests."""
        raise NotImplementedError("say what runs")

    def test_nothing_to_do(self) -> None:
        assert list(self.runner().build([])) == [], "no program was given"
        assert list(self.runner().train([], seed=0)) == [], "no program was given"

    def test_an_honest_network_learns(self) -> None:
        outcome = train_one(self.runner(), HONEST)
        assert 0.6 < score_of(outcome) < 1.0, f"a score of {score_of(outcome)}"
        assert isinstance(outcome, Trained)
        assert outcome.n == 360, f"{outcome.n} images, where the validation split has 360"
        assert outcome.cpu_seconds > 0, "no CPU time was measured"
        assert 0 < outcome.seconds < 60, f"it took {outcome.seconds} s"
        assert outcome.tier == self.runner().tier, f"tier {outcome.tier} of a runner of {self.runner().tier}"
        assert outcome.per_image is not None, "the score of each image is kept"

    def test_the_test_split_is_another_one(self) -> None:
        [(_, outcome)] = self.runner().train([HONEST], seed=0, split="test")
        score_of(outcome)
        assert isinstance(outcome, Trained)
        assert outcome.n == 359, f"{outcome.n} images, where the test split has 359"

    def test_equal_seeds_give_equal_scores_in_any_order(self) -> None:
        runner = self.runner()
        forth = dict(runner.train([HONEST, SLOWER, HONEST], seed=0))
        back = dict(runner.train([SLOWER, HONEST], seed=0))
        assert (sorted(forth), sorted(back)) == ([0, 1, 2], [0, 1]), "each program ends once, under its own number"
        first, second, third = (score_of(forth[place]) for place in range(3))
        assert first == third, f"one program has the scores {first} and {third}"
        assert (score_of(back[0]), score_of(back[1])) == (second, first), "a score depends on the order"
        assert first != second, "two programs have one score: whose is it?"

    def test_another_seed_is_another_run(self) -> None:
        scores = {score_of(train_one(self.runner(), HONEST, seed)) for seed in range(3)}
        assert len(scores) > 1, f"three seeds have the score {scores}"

    def test_a_training_may_have_another_length(self) -> None:
        runner = self.runner()
        [(_, once)], [(_, twice)] = (runner.train([HONEST], seed=0, epochs=epochs) for epochs in (1, 2))
        assert score_of(once) == score_of(train_one(runner, HONEST)), "one epoch is this runner's own length"
        assert isinstance(once, Trained)
        assert isinstance(twice, Trained)
        assert twice.per_image != once.per_image, "two epochs give what one does"

    def test_the_order_of_sets_does_not_move_a_score(self) -> None:
        order = "torch.manual_seed(sum(n * ord(c[0]) for n, c in enumerate({'a', 'b', 'c', 'd', 'e', 'f'})))"
        candidate = program(f"{HONEST.net}\n{order}\n")
        scores = {score_of(train_one(self.runner(), candidate)) for _ in range(2)}
        assert len(scores) == 1, f"one seed has the scores {scores}"

    def test_a_program_that_raises_says_where(self) -> None:
        candidate = learning("raise ValueError('no such luck')")
        outcome = train_one(self.runner(), candidate)
        line = 1 + candidate.net.split("raise ValueError")[0].count("\n")
        assert isinstance(outcome, Failed), f"no failure: {outcome}"
        found = (outcome.kind, outcome.reason)
        assert found == ("error", f"line {line}: ValueError: no such luck"), f"told as {found}"

    def test_one_that_fails_takes_no_other_along(self) -> None:
        outcomes = dict(self.runner().train([learning("os._exit(3)"), HONEST], seed=0))
        assert isinstance(outcomes[0], Failed), f"no failure: {outcomes[0]}"
        score_of(outcomes[1])

    def test_a_reason_is_printable(self) -> None:
        outcome = train_one(self.runner(), learning(r"raise ValueError('red \x1b[31m \0 end')"))
        assert isinstance(outcome, Failed), f"no failure: {outcome}"
        assert "red" in outcome.reason, f"told as {outcome.reason!r}"
        assert outcome.reason.isprintable(), f"told as {outcome.reason!r}"

    def test_wrong_outputs_are_no_score(self) -> None:
        for wrong in ("self.layers(x)[:, :5]", "self.layers(x)[1:]", "'all of them'", "self.layers(x) * float('nan')"):
            forward = FORWARD.replace("self.layers(x)", f"self.layers(x) if self.training else {wrong}")
            outcome = train_one(self.runner(), program(HEAD + forward + LEARN))
            assert isinstance(outcome, Failed), f"{wrong} has a score: {outcome}"
            assert outcome.kind == "output", f"{wrong} is told as {outcome.kind}: {outcome.reason}"

    def test_a_second_pass_over_the_data_is_refused(self) -> None:
        outcome = train_one(self.runner(), learning("list(train_data)"))
        assert isinstance(outcome, Failed), f"two epochs for the price of one: {outcome}"

    def test_build_measures(self) -> None:
        commented = program(f"{HONEST.net}\n# a comment\n")
        built, same, other = self.runner().build([HONEST, commented, SLOWER])
        assert isinstance(built, Built), f"not built: {built}"
        assert isinstance(other, Built), f"not built: {other}"
        assert built.params == 64 * 32 + 32 + 32 * 10 + 10, f"{built.params} parameters"
        assert built.flops == 2 * (64 * 32 + 32 * 10), f"{built.flops} FLOPs"
        assert same == built, "a comment changes what is built"
        assert other.trace != built.trace, "another learning rate is another computation"

    def test_build_refuses_with_a_reason_and_keeps_the_order(self) -> None:
        broken = program(HEAD + FORWARD.replace("self.layers", "self.layer") + LEARN)
        narrow = program(HEAD + FORWARD.replace("self.layers(x)", "self.layers(x)[:, 1:]") + LEARN)
        first, built, second = self.runner().build([broken, HONEST, narrow])
        assert isinstance(built, Built), f"not built: {built}"
        for refused in (first, second):
            assert isinstance(refused, Refused), f"it was built: {refused}"
            assert refused.stage == "build", f"refused at stage {refused.stage}"
            assert refused.reason, "a refusal says why"
