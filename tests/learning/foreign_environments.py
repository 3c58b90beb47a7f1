"""Environments of nobody in particular, with the names that PettingZoo's have."""

import numpy as np


class Box:
    def __init__(self, low, high, shape):
        self.low, self.high, self.shape = np.full(shape, low), np.full(shape, high), shape


class Discrete:
    def __init__(self, n, start=0):
        self.n, self.start = n, start


class Dict:
    def __init__(self, **spaces):
        self.spaces = spaces


class Meeting:
    """Two agents on a line want to meet; the second one leaves after three steps, the first after `last`."""

    def __init__(self, last=5):
        self.last = last
        self.possible_agents, self.agents = ["red", "blue"], []

    def observation_space(self, agent):
        return Box(-9.0, 9.0, (2,)) if agent == "red" else Box(-9.0, 9.0, (1, 3))

    def action_space(self, agent):
        return Box(-1.0, 1.0, (1,) if agent == "red" else (2,))

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.at, self.steps, self.agents = self.rng.uniform(-1, 1, 2), 0, list(self.possible_agents)
        return self._seen(), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.at = self.at + np.array([actions["red"][0], actions.get("blue", np.zeros(2)).sum() / 2])
        self.steps += 1
        over = {agent: self.steps >= (self.last if agent == "red" else 3) for agent in self.agents}
        rewards = {agent: -float(abs(self.at[0] - self.at[1])) for agent in self.agents}
        seen = self._seen()
        self.agents = [agent for agent in self.agents if not over[agent]]
        return seen, rewards, over, dict.fromkeys(over, False), {agent: {} for agent in over}

    def _seen(self):
        rows = {"red": np.array(self.at), "blue": np.append(self.at, 1.0)[None]}
        return {agent: rows[agent] for agent in self.agents}

    def close(self):
        pass


class Faulty(Meeting):
    """Strict about actions, as PettingZoo's own wrappers are; something goes wrong at a call of `step`."""

    def __init__(self, at=300, how="nan"):
        super().__init__()
        self.at_call, self.how, self.calls = at, how, 0

    def step(self, actions):
        assert all(np.isfinite(action).all() for action in actions.values()), "an action is no number"
        told = super().step(actions)
        self.calls += 1
        if self.calls == self.at_call:
            if self.how == "raise":
                raise RuntimeError("the motor\nbroke")
            if self.how == "unpaid":
                told[1].pop("red")
            else:
                told[1]["red"] = float("nan")
        return told


class Staying(Meeting):
    """Whoever is done stays in `agents`."""

    def step(self, actions):
        every = list(self.agents)
        _, rewards, over, never, infos = super().step(actions)
        self.agents = every
        over = dict.fromkeys(every, self.steps >= 3)
        return self._seen(), rewards, over, never, infos


class Moves(Meeting):
    """The same by steps of -1, 0 and 1, with a discrete observation."""

    def observation_space(self, agent):
        return Discrete(3)

    def action_space(self, agent):
        return Discrete(3)

    def step(self, actions):
        boxes = {agent: np.full(2, int(move) - 1.0) for agent, move in actions.items()}
        return super().step(boxes)

    def _seen(self):
        return {agent: int(np.sign(self.at[1] - self.at[0])) + 1 for agent in self.agents}


class Masked(Meeting):
    def observation_space(self, agent):
        return Dict(observation=Box(0, 1, (2,)), action_mask=Box(0, 1, (2,)))


class InTurn(Meeting):
    def agent_iter(self):
        return iter(())


class Odd(Meeting):
    def action_space(self, agent):
        return Dict()


class CountedFromOne(Moves):
    def action_space(self, agent):
        return Discrete(3, start=1)


def broken():
    raise RuntimeError("no display")


class MaskedByTheWay(Moves):
    """Says what is legal beside what is seen."""

    def reset(self, seed=None, options=None):
        seen, infos = super().reset(seed)
        return seen, {agent: {"action_mask": np.ones(3, np.int8)} for agent in infos}


class Tight(Meeting):
    """A box whose bounds single precision does not hold, and an environment that minds; rewards are arrays."""

    def action_space(self, agent):
        box = Box(0.1, 0.3, (1,) if agent == "red" else (2,))
        box.low, box.high, box.dtype = box.low.astype(np.float32), box.high.astype(np.float32), np.dtype(np.float32)
        return box

    def step(self, actions):
        for agent, action in actions.items():
            box = self.action_space(agent)
            assert action.dtype == np.float32
            assert ((box.low <= action) & (action <= box.high)).all(), action
        seen, rewards, *rest = super().step(actions)
        return seen, {agent: np.array([reward]) for agent, reward in rewards.items()}, *rest


class WholeNumbers(Meeting):
    def action_space(self, agent):
        box = Box(0, 3, (1,))
        box.dtype = np.dtype(np.int64)
        return box


class Crashes(Meeting):
    def step(self, actions):
        if self.steps == 4:
            raise ZeroDivisionError("no wheel")
        return super().step(actions)


class SaysNothing(Meeting):
    def reset(self, seed=None, options=None):
        return super().reset(seed)[0]


class SeesMore(Meeting):
    def _seen(self):
        return {agent: np.zeros(7) for agent in self.agents}
