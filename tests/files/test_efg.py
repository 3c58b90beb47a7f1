"""Extensive games: hand-computed normal forms, and Kuhn's theorem against a walk over the tree."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equinfer.errors import BadInput
from equinfer.games.extensive import behaviour, distinct
from equinfer.games.files import read_game, write_game

DATA = Path(__file__).parent / "data"
HEAD = 'EFG 2 R "t" { "a" "b" }\n'


def test_card_game_and_its_equilibrium():
    """The dealer raises with every red card and a third of the black ones; the guest meets two raises in three."""
    game = read_game(DATA / "card.efg")
    assert game.name == "Raise or fold"
    assert game.action_labels == (("raise/raise", "raise/fold", "fold/raise", "fold/fold"), ("meet", "pass"))
    payoffs = np.array([[0, 1], [0.5, 0], [-0.5, 1], [0, 0]])
    np.testing.assert_allclose(game.reward[:, 0], [payoffs, -payoffs], rtol=0, atol=1e-15)
    dealer, guest = behaviour(game.extensive, (np.array([[1 / 3, 2 / 3, 0, 0]]), np.array([[2 / 3, 1 / 3]])))
    assert dealer["red card"] == {"raise": 1.0, "fold": 0.0}
    assert dealer["black card"] == pytest.approx({"raise": 1 / 3, "fold": 2 / 3})
    assert guest == {"raised": pytest.approx({"meet": 2 / 3, "pass": 1 / 3})}


def test_payoffs_on_the_way_add_up_and_strategies_are_reduced():
    game = read_game(DATA / "stages.efg")
    assert game.action_labels == (("in/in", "in/out", "out/*"), ("fight", "share"))
    np.testing.assert_array_equal(game.reward[0, 0], [[9, 2], [-1, 2], [-1, -1]])
    np.testing.assert_array_equal(game.reward[1, 0], [[20.75, 4.75], [0.75, 4.75], [0.5, 0.5]])
    first, second = behaviour(game.extensive, (np.array([0, 0, 1.0]), np.array([0.25, 0.75])))
    assert first["enter?"] == {"in": 0.0, "out": 1.0}
    assert first["again"] == {"in": 0.5, "out": 0.5}  # never reached by its own play
    assert second == {"1": {"fight": 0.25, "share": 0.75}}


def test_an_unlabelled_game_forgets_its_tree():
    assert read_game(DATA / "card.efg").unlabelled().extensive is None


class Tree:
    """A random game of perfect recall: what a player sees at a node is the own past and a random signal."""

    def __init__(self, draw, num_players):
        self.draw, self.num_players, self.sets, self.lines = draw, num_players, [{} for _ in range(num_players)], []
        self.root = self.node(4, ((),) * num_players)

    def node(self, depth, pasts):
        kind = self.draw(st.sampled_from("tcpp")) if depth else "t"
        if kind == "t":
            payoffs = self.draw(st.lists(st.integers(-9, 9), min_size=self.num_players, max_size=self.num_players))
            self.lines.append(f't "" {len(self.lines) + 1} "" {{ {", ".join(map(str, payoffs))} }}')
            return np.array(payoffs, float)
        if kind == "c":
            self.lines.append(f'c "" {len(self.lines) + 1} "" {{ "x" 1/4 "y" .75 }} 0')
            return [(0.25, self.node(depth - 1, pasts)), (0.75, self.node(depth - 1, pasts))]
        player = self.draw(st.integers(0, self.num_players - 1))
        seen = (pasts[player], self.draw(st.booleans()))
        number, size = self.sets[player].setdefault(seen, (len(self.sets[player]) + 1, self.draw(st.integers(1, 3))))
        actions = [f"m{k}" for k in range(size)]
        self.lines.append(
            f'p "" {player + 1} {number} "h{number}" {{ {" ".join(f"{a!r}" for a in actions)} }} 0'.replace("'", '"')
        )
        children = []
        for action in actions:
            after = (*pasts[:player], (*pasts[player], (seen, action)), *pasts[player + 1 :])
            children.append((player, f"h{number}", action, self.node(depth - 1, after)))
        return children

    def text(self):
        players = " ".join(f'"p{i}"' for i in range(self.num_players))
        return f'EFG 2 R "random" {{ {players} }}\n' + "\n".join(self.lines)

    @classmethod
    def value(cls, node, strategies):
        """Expected payoffs under behaviour strategies, by walking the tree."""
        if isinstance(node, np.ndarray):
            return node
        if len(node[0]) == 2:
            return sum(chance * cls.value(child, strategies) for chance, child in node)
        return sum(strategies[i][h][action] * cls.value(child, strategies) for i, h, action, child in node)


@st.composite
def trees(draw):
    return Tree(draw, draw(st.integers(1, 3)))


@settings(max_examples=80)
@given(trees(), st.integers(0, 2**32 - 1), st.booleans())
def test_kuhns_theorem(tmp_path_factory, tree, seed, sparse):
    """A mixed profile is worth in the normal form what its behaviour strategies are worth in the tree."""
    path = tmp_path_factory.getbasetemp() / "tree.efg"
    path.write_text(tree.text())
    game = read_game(path)
    rng = np.random.default_rng(seed)
    profile = [rng.dirichlet(np.full(size, 0.2 if sparse else 1.0)) for size in game.num_actions]
    expected = np.asarray(game.reward)[:, 0]
    for mixed in profile:
        expected = np.tensordot(expected, mixed, axes=(1, 0))
    strategies = behaviour(game.extensive, profile)
    for i, sets in enumerate(strategies):
        assert set(sets) == {f"h{number}" for number, _ in tree.sets[i].values()}
        for law in sets.values():
            assert sum(law.values()) == pytest.approx(1)
    np.testing.assert_allclose(Tree.value(tree.root, strategies), expected, rtol=0, atol=1e-11)


def test_the_number_of_strategies_is_the_number_of_plans(tmp_path):
    """Four decisions on one path: stop at any of them or never, so five reduced strategies of sixteen plans."""
    path = tmp_path / "path.efg"
    path.write_text(HEAD + "".join(f'p "" 1 {k} "" {{ "stop" "go" }} 0 t "" 0\n' for k in range(1, 5)) + 't "" 0')
    assert read_game(path).num_actions == (5, 1)
    assert read_game(path).action_labels == (
        ("stop/*/*/*", "go/stop/*/*", "go/go/stop/*", "go/go/go/stop", "go/go/go/go"),
        ("-",),
    )


def test_imperfect_recall_is_refused_by_name():
    with pytest.raises(BadInput, match="line 6: player ann has imperfect recall at information set later"):
        read_game(DATA / "forgetful.efg")


def test_absent_mindedness_is_imperfect_recall(tmp_path):
    path = tmp_path / "exit.efg"
    path.write_text(HEAD + 'p "" 1 1 "exit?" { "on" "off" } 0 p "" 1 1 0 t "" 0 t "" 0 t "" 0')
    with pytest.raises(BadInput, match="player a has imperfect recall at information set exit"):
        read_game(path)


def many_types(count):
    """One player learns one of `count` types and then chooses between two actions: 2**count strategies."""
    chances = " ".join(f'"{k}" 1/{count}' for k in range(count))
    return (
        HEAD
        + f'c "" 1 "" {{ {chances} }} 0\n'
        + "".join(f'p "" 1 {k + 1} "" {{ "l" "r" }} 0 t "" 0 t "" 0\n' for k in range(count))
    )


@pytest.mark.parametrize(
    ("types", "says"),
    [
        (21, "player a has 2097152 reduced strategies with 43 sequences"),
        (1_000, "player a has at least 1000000000000 reduced strategies with 2001 sequences"),
    ],
)
def test_too_many_strategies_are_refused_with_the_count(tmp_path, types, says):
    path = tmp_path / "types.efg"
    path.write_text(many_types(types))
    with pytest.raises(BadInput, match=says):
        read_game(path)


def test_too_many_profiles_are_refused_with_the_count(tmp_path):
    """Chance tells one of eleven things to one of two players."""
    chances = " ".join(f'"{k}" 1/22' for k in range(22))
    path = tmp_path / "wide.efg"
    path.write_text(
        HEAD
        + f'c "" 1 "" {{ {chances} }} 0\n'
        + "".join(f'p "" {1 + k // 11} {k + 1} "" {{ "l" "r" }} 0 t "" 0 t "" 0\n' for k in range(22))
    )
    with pytest.raises(BadInput, match="2048 x 2048 = 4194304 pure strategy profiles; it is built up to 1048576"):
        read_game(path)


def test_a_deep_tree_needs_no_recursion(tmp_path):
    path = tmp_path / "deep.efg"
    path.write_text(
        HEAD
        + 'p "" 1 1 "h" { "go" } 0\n' * 0
        + "".join(f'c "" {k} "" {{ "x" 1 }} 0\n' for k in range(1, 3_001))
        + 't "" 1 "" { 3 4 }'
    )
    np.testing.assert_array_equal(read_game(path).reward.ravel(), [3, 4])


def test_distinct_labels():
    assert distinct(["a", "b"]) == ("a", "b")
    assert distinct(["a", "a", "a_1", ""]) == ("a_1_1", "a_2", "a_1", "4")
    assert len(set(distinct(["x", "x", "x_1", "x_1_1", "", "5"]))) == 6


def test_extensive_games_are_only_read(tmp_path):
    with pytest.raises(BadInput, match=r"\.efg files are only read; games are written to \.nfg, \.csv, \.npz"):
        write_game(read_game(DATA / "card.efg"), tmp_path / "copy.efg")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", "line 2: expected a node, 'c', 'p' or 't', found 'x'"),
        ('"comment"\n', "line 3: the file ends where a node, 'c', 'p' or 't' should stand"),
        ("t 0", "expected the node's name in quotes, found '0'"),
        ('t "" -1', "expected the number of the outcome, found '-1'"),
        ('t "" 1', "the file ends where the payoffs of outcome 1, which occurs here first should stand"),
        ('t "" 0 t "" 0', "expected the end of the file, since every branch has its node, found 't'"),
        ('p "" 3 1 "" { "x" } 0', "player 3 does not exist; there are 2"),
        ('p "" 1 1 0', "expected the actions of information set 1, which occurs here first, found '0'"),
        ('p "" 1 1 "h" { } 0', "information set h of player a has no actions"),
        ('p "" 1 1 "h" { "x" "y" } 0\nt "" 0', "line 3: the file ends where a node"),
        (
            'c "" 1 "" { "l" 0.5 "r" 0.5 } 0 p "" 2 1 "h" { "x" } 0 t "" 0\np "" 2 1 "h" { "y" } 0 t "" 0',
            "line 3: information set h of player b was declared with the actions x before",
        ),
        ('c "" 1 "coin" { "l" 0.5 "r" 0.4 } 0', "chance event coin: probabilities sum to 0.9, not to one"),
        ('c "" 1 "coin" { "l" 1.5 "r" -0.5 } 0', "chance event coin: 1.5 is not a probability"),
        ('c "" 1 "coin" { "l" "r" } 0', "expected the probability of 'l', found 'r'"),
        (
            'c "" 1 "" { "l" 1 } 0 c "" 1 "" { "m" 1 } 0',
            "chance event 1 was declared with other actions or probabilities before",
        ),
        (
            'c "" 1 "" { "l" 1 } 3 "fee" { 1 2 } t "" 3 "fee" { 2 1 }',
            "outcome fee was declared with other payoffs before",
        ),
        (
            'c "" 1 "" { "l" 1 } 3 "fee" { 1e308 2 } t "" 4 "" { 1e308 1 }',
            "the payoffs on the way to this node add up to more than a float holds",
        ),
    ],
)
def test_errors_name_the_line(tmp_path, text, says):
    path = tmp_path / "bad.efg"
    path.write_text(HEAD + text)
    with pytest.raises(BadInput) as caught:
        read_game(path)
    assert str(caught.value).startswith(f"{path}, line ")
    assert says in str(caught.value)
