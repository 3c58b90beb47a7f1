"""What a tabular game is made of, in every form that it takes, and what it refuses: one sentence, ended once."""

import subprocess
import sys

import numpy as np
import pytest

import equinfer as eq
from equinfer.arguments import shown
from equinfer.errors import BadInput
from equinfer.games.kernels import DenseKernel, SparseKernel

NUMBERS = "is not a rectangular array of real numbers"
REWARD = np.zeros((2, 3, 2, 2))
KERNEL = np.full((3, 2, 2, 3), 1 / 3)


@pytest.mark.parametrize("num_states", [3, 600])
def test_the_kernel_of_a_game_and_of_its_tables_make_the_same_game(num_states):
    rng = np.random.default_rng(0)
    successors = rng.integers(num_states, size=(num_states, 2, 2, 2))
    game = eq.TabularGame(
        rng.normal(size=(2, num_states, 2, 2)), SparseKernel(successors, np.full(successors.shape, 0.5)), 0.9
    )
    dense = eq.TabularGame(game.reward, game.kernel.dense(), 0.9)
    assert isinstance(dense.kernel, DenseKernel if num_states < 500 else SparseKernel)
    for one in (game, dense):
        for kernel in (one.kernel, one.tables().kernel, one.kernel.dense(), DenseKernel(one.kernel.dense())):
            again = eq.TabularGame(one.reward, kernel, one.discount)
            np.testing.assert_array_equal(again.kernel.dense(), game.kernel.dense())


def game(**changed):
    return eq.TabularGame(**{"reward": REWARD, "kernel": KERNEL, "discount": 0.9, **changed})


RAGGED = [[1.0], [1.0, 2.0]]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: game(reward=RAGGED), f"reward {NUMBERS}: its lists differ in length."),
        (lambda: game(kernel=RAGGED), f"kernel {NUMBERS}: its lists differ in length."),
        (lambda: game(initial=RAGGED), f"initial {NUMBERS}: its lists differ in length."),
        (lambda: game(discount="high"), f"discount {NUMBERS}: its entries are text."),
        (lambda: game(reward=1j * REWARD), f"reward {NUMBERS}: its entries are complex."),
        (lambda: game(legal=[RAGGED, RAGGED]), "legal[0] is not a rectangular array: its lists differ in length."),
        (lambda: game(player_labels=[["a"], ["b"]]), "a label of player_labels must be a name or a number; got ['a']."),
        (lambda: game(player_labels=["it", "it"]), "player_labels has the label 'it' twice."),
        (lambda: eq.TabularGame.from_payoffs(RAGGED), "payoffs is not a rectangular array of real numbers: its lists "
         "differ in length."),
        (lambda: SparseKernel(RAGGED, RAGGED), "successors of a sparse kernel is not a rectangular array: its lists "
         "differ in length."),
        (lambda: eq.certify(game(), [RAGGED, RAGGED]), "the policy of player 0 is not a rectangular array of real "
         "numbers: its lists differ in length."),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence(make, says):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == says


UNTYPED = {
    "eq.TabularGame(reward, kernel, horizon=np.arange(2000))": "horizon must be a whole number of decision epochs, at "
    "least 1; got an array of shape (2000,).",
    "eq.TabularGame(reward, kernel, 0.9, legal=3)": "legal must hold one boolean array per player; got 3.",
    "eq.TabularGame(reward, kernel, 0.9, player_labels=7)": "player_labels must be a list of 2 labels; got 7.",
    "eq.TabularGame(reward, kernel, 0.9, action_labels=7)": ""
    "action_labels must hold a list of labels per player; got 7.",
    "eq.TabularGame.from_payoffs(3.0)": "payoffs must have shape (N, A_1, ..., A_N), an axis of actions for each of N "
    "players; got ().",
    "eq.solve('catalog:chicken', eps=np.zeros(2000))": "eps must be a finite number, at least 0; got an array of shape "
    "(2000,).",
    "eq.solve('catalog:chicken', time=list(range(2000)))": "time must be a finite number, at least 0; got a list of "
    "2000.",
    "eq.solve_batch(np.zeros((3, 2, 2, 2)), eps=np.zeros(2))": "eps must be a number, or one for each of 3 games; "
    "got an array of shape (2,).",
}


def test_a_wrong_type_is_refused_in_one_sentence_as_well():
    # In a process of its own, where no annotation is checked: as users have it.
    lines = [
        "import numpy as np, equinfer as eq",
        "reward, kernel = np.zeros((2, 3, 2, 2)), np.full((3, 2, 2, 3), 1 / 3)",
    ]
    for call in UNTYPED:
        lines += ["try:", f"    {call}", "except eq.BadInput as error:", "    print(error)"]
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == list(UNTYPED.values())


def test_what_came_instead_is_shown_on_one_line():
    assert shown("a\nb") == r"'a\nb'"
    assert shown(np.float64(2.5)) == "2.5"
    assert shown(np.zeros((2, 3))) == "an array of shape (2, 3)"
    assert shown([1, 2]) == "[1, 2]"
    assert shown([[1, 2]] * 500) == "a list of 500"
    assert shown("x" * 1000) == "a str of 1000"
    assert len(shown(10**200)) < 100
