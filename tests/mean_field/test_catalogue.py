"""The mean-field games of the catalogue: exploitabilities that MFGLib and OpenSpiel find, and closed forms."""

import functools

import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.mean_field import certify_mean_field, exact_flow
from equinfer.games import catalog
from equinfer.games.mean_field import MeanFieldGame


@functools.cache
def judged(name, *given):
    """The game in tables, and the exploitability of the uniform policy."""
    game = catalog.load(f"mean_field/{name}", **dict(given))
    assert isinstance(game, MeanFieldGame)
    tables = game.tables()
    return tables, certify_mean_field(tables, game.uniform_profile()).gap


def modular(tables):
    """In proportion to 1 + (3 a + 5 s + 7 t) mod 11."""
    t, s, a = np.indices((tables.horizon, *tables.legal[0].shape))
    weights = 1.0 + (3 * a + 5 * s + 7 * t) % 11
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "given", "uniform", "other"),
    [
        ("left_right", {}, 0.25, 1.12),
        ("rock_paper_scissors", {}, 1 / 3, 0.9375),
        ("susceptible_infected", {}, 5.46687391322852, 5.46437015465187),
        ("beach_bar", {}, 1.22126225529653, 1.25306433523598),
        ("linear_quadratic", {}, 2.13812262659022, 1.65092560512643),
        ("random_linear", {}, 34.5602633388173, 35.7846915571081),
        ("random_linear", {"float64": True}, 25.9469034487065, 24.6492723020617),
        ("equilibrium_price", {}, 22.2151856932378, 22.3891687487392),
        ("conservative_treasure_hunting", {}, 50 / 27, 1.81914596902409),
        ("crowd_motion", {}, 1.46748295157471, 1.60102729835319),
        ("building_evacuation", {}, 0.321265093674612, 0.936248888312974),
    ],
)
def test_what_mfglib_finds(name, given, uniform, other):
    """MFGLib 0.3.0 in float64, to the digits that it was recorded with."""
    tables, gap = judged(name, *given.items())
    assert gap == pytest.approx(uniform, rel=1e-12, abs=1e-12)
    assert certify_mean_field(tables, modular(tables)).gap == pytest.approx(other, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("crowd_modelling", {"as_open_spiel": True}, 2.8135365543870385),
        ("crowd_modelling_2d", {"as_open_spiel": True}, 5.4428533232640035),
        ("crowd_modelling_2d", {"move_cost": 0.0}, 5.440783924224),
        ("four_rooms", {}, 167.6604464714278),
        ("crowd_avoidance", {}, 6.276543452378794),
        ("predator_prey", {}, 36.968383925225865),
        ("predator_prey", {"populations": 4, "horizon": 20}, 67.89876237335486),
        ("open_spiel_linear_quadratic", {"as_open_spiel": True}, 21.498181599551945),
        ("periodic_aversion", {"as_open_spiel": True}, 4.333391309238436),
    ],
)
def test_what_open_spiel_finds(name, given, expected):
    """NashConv of OpenSpiel 2.0.2 for the uniform policy; without cost of moves, of another program."""
    assert judged(name, *given.items())[1] == pytest.approx(expected, rel=1e-12, abs=1e-10)


VARIANTS = [
    ("left_right", {}),
    ("left_right", {"T": 4}),
    ("rock_paper_scissors", {}),
    ("rock_paper_scissors", {"T": 3}),
    ("congestion", {}),
    ("congestion", {"T": 3, "slopes": (1.0, 1.0, 1.0), "offsets": (5.0, 0.0, 0.2)}),
    ("conservative_treasure_hunting", {}),
    ("conservative_treasure_hunting", {"n": 4, "r": (1.0, 2.0, 0.5, 0.0), "T": 3, "c": 0.5}),
    ("crowd_modelling_2d", {"only_distribution_reward": True}),
    ("riccati", {}),
    ("riccati", {"T": 4, "noise": 0.0}),
    ("riccati", {"T": 2, "ratio": 3, "noise": 0.25}),
]


@pytest.mark.parametrize(("name", "given"), VARIANTS)
def test_listed_equilibria_are_equilibria(name, given):
    tables, uniform = judged(name, *given.items())
    known = catalog.equilibria(f"mean_field/{name}", **given)
    assert known
    for each in known:
        certificate = certify_mean_field(tables, each.profile)
        assert certificate.gap <= certificate.numerical_error < 1e-9
        assert each.note
    if name != "crowd_modelling_2d":
        assert uniform > 0.1  # not everything is an equilibrium


@pytest.mark.parametrize(("T", "ratio", "noise"), [(3, 2, 0.5), (2, 3, 0.25)])
def test_the_linear_quadratic_game_is_worth_what_riccati_says(T, ratio, noise):
    tables, _ = judged("riccati", ("T", T), ("ratio", ratio), ("noise", noise))
    (known,) = catalog.equilibria("mean_field/riccati", T=T, ratio=ratio, noise=noise)
    values = certify_mean_field(tables, known.profile).values[0]
    variances = [noise * ratio ** (2 * (T - 1 - t)) for t in range(T)]
    y = np.arange(tables.num_states) - tables.num_states // 2
    for t in range(T + 1):
        inside = (y % ratio ** (T - t) == 0) & (np.abs(y) <= ratio**T)
        expected = -(ratio - 1) / 2 * (y[inside] ** 2 + sum(variances[t:]))
        np.testing.assert_allclose(values[t, inside], expected, rtol=1e-13)
    assert known.profile is not None
    masses = exact_flow(tables, known.profile)[0].sum(axis=2)
    np.testing.assert_allclose(masses @ y, 0, atol=1e-13)


def test_roads_that_are_used_cost_the_same():
    """Offsets 0 and 0.2 with unit slopes: water stands at 0.6, and the third road, at 5, is dry."""
    given = (("T", 3), ("slopes", (1.0, 1.0, 1.0)), ("offsets", (5.0, 0.0, 0.2)))
    tables, _ = judged("congestion", *given)
    (known,) = catalog.equilibria("mean_field/congestion", **dict(given))
    assert known.profile is not None
    np.testing.assert_allclose(known.profile[0][0, 0], [0, 0.6, 0.4], atol=1e-15)
    assert certify_mean_field(tables, known.profile).values[0, 0, 0] == pytest.approx(-3 * 0.6)


def test_infection_keeps_to_its_turnpike():
    """Ten of seventeen go out: 10/27 end up ill, and illness costs 5/3 more than health, so nobody minds which."""
    tables, _ = judged("susceptible_infected", ("T", 200))
    policy = np.zeros((201, 2, 2))
    policy[:, 0], policy[:, 1, 0] = (10 / 17, 7 / 17), 1
    flow = exact_flow(tables, (policy,))[0]
    assert flow[100, 1].sum() == pytest.approx(10 / 27, abs=1e-8)
    values = certify_mean_field(tables, policy).values[0]
    assert values[100, 0] - values[100, 1] == pytest.approx(5 / 3, abs=1e-8)
    healthy, ill = values[101]
    caught = 0.81 * flow[100, 1].sum()
    assert caught * ill + (1 - caught) * healthy == pytest.approx(-0.5 + healthy, abs=1e-8)


def test_only_moves_made_are_charged_for():
    """The last move of a circle's crowd is paid for by whom it is made; in OpenSpiel, by all who come to a place."""
    rewards = [judged("crowd_modelling", ("as_open_spiel", flag))[0] for flag in (False, True)]
    clean, theirs = (each.rewards((np.full((10, 10, 3), 1 / 30),))[0] for each in rewards)
    np.testing.assert_allclose(clean[:, :, 1] - clean[:, :, 0], 0.1, atol=1e-14)
    np.testing.assert_array_equal(theirs[:, :, 1], theirs[:, :, 0])
    np.testing.assert_allclose(theirs[0], clean[0][:, [1, 1, 1]], atol=1e-14)
    assert set(np.unique(np.round(clean[1:, :, 1] - theirs[1:, :, 0], 12))) == {0.0, 0.1}


def test_the_terminal_cost_counts_here():
    """Twice the cost of being away at the end changes the game, which in OpenSpiel it does not."""
    clean = [judged("open_spiel_linear_quadratic", ("terminal_cost", c))[1] for c in (1.0, 2.0)]
    theirs = [
        judged("open_spiel_linear_quadratic", ("as_open_spiel", True), ("terminal_cost", c))[1] for c in (1.0, 2.0)
    ]
    assert abs(clean[0] - clean[1]) > 0.1
    assert theirs[0] == theirs[1]


def test_every_game_loads_by_name_and_describes_itself():
    described = catalog.mean_field_entries()
    assert tuple(each.name for each in described) == catalog.mean_field_names()
    assert not set(catalog.names()) & set(catalog.mean_field_names())
    for each in described:
        assert each.name.startswith("mean_field/")
        assert each.description.endswith(".")
        assert each.source
    game = catalog.load("mean-field/beach-bar", T=10, n=6)
    assert isinstance(game, MeanFieldGame)
    assert (game.name, game.horizon, game.num_states) == ("mean_field/beach_bar", 11, 6)
    assert game.labels.origin is not None
    assert game.labels.origin[0] == "catalog:mean_field/beach_bar"
    with pytest.raises(eq.UnknownName, match="did you mean 'mean_field/beach_bar'"):
        catalog.load("mean_field/beach_bars")
    with pytest.raises(eq.UnknownName, match="mean_field/left_right has no parameter 'n'"):
        catalog.load("mean_field/left_right", n=3)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("left_right", {"T": 0}, "needs T >= 1; got 0"),
        ("rock_paper_scissors", {"T": 0}, "needs T >= 1; got 0"),
        ("susceptible_infected", {"recovery": 1.5}, "0 <= recovery <= 1; got 1.5"),
        ("congestion", {"slopes": (1.0, 2.0)}, "as many slopes as offsets; got 2, 3"),
        ("congestion", {"slopes": (1.0, 0.0, 2.0)}, "positive slopes"),
        ("beach_bar", {"bar_loc": 4}, "0 <= bar_loc < n = 4; got 4"),
        ("beach_bar", {"p_still": 1.5}, "0 <= p_still <= 1; got 1.5"),
        ("crowd_motion", {"loc_change_freq": 0}, "loc_change_freq >= 1; got 0"),
        ("crowd_motion", {"log_eps": 0.0}, "log_eps > 0; got 0"),
        ("building_evacuation", {"n_floor": 0}, "positive n_floor"),
        ("linear_quadratic", {"delta": 0.0}, "delta > 0"),
        ("random_linear", {"m": -1.0}, "m > 0; got -1"),
        ("random_linear", {"seed": -1}, "0 <= seed"),
        ("equilibrium_price", {"c": (1.0, 1.0)}, "five costs c; got 2"),
        ("equilibrium_price", {"e0": 0.0}, "positive d, e0 and sigma"),
        ("conservative_treasure_hunting", {"r": (1.0, 2.0)}, "3 numbers r; got 2"),
        ("crowd_modelling", {"size": 1}, "size >= 2"),
        ("crowd_modelling_2d", {"start": (100,)}, r"start in 0\.\.99; got \(100,\)"),
        ("crowd_modelling_2d", {"start": (5,), "forbidden_states": (5,)}, "a start that is not forbidden"),
        ("crowd_modelling_2d", {"forbidden_states": (5,)}, "a start that is not forbidden"),
        ("four_rooms", {"noise_intensity": -0.1}, "0 <= noise_intensity <= 1; got -0.1"),
        ("periodic_aversion", {"xmax": 0.0}, "xmin < xmax"),
        ("crowd_avoidance", {"proba_noise": 2.0}, r"in \[0, 1\]; got 2"),
        ("predator_prey", {"populations": 2}, "3 or 4 populations; got 2"),
        ("open_spiel_linear_quadratic", {"as_open_spiel": True, "mean_revert": 0.5}, "leave out as_open_spiel"),
        ("endemic", {"discount": 1.0}, "0 <= discount < 1; got 1"),
        ("endemic", {"ill": 1.5}, "0 <= ill <= 1; got 1.5"),
        ("daily_congestion", {"offsets": (0.0,)}, "as many slopes as offsets; got 3, 1"),
        ("daily_congestion", {"slopes": (1.0, 0.0, 2.0)}, "positive slopes"),
        ("malware_spread", {"levels": 1}, "levels >= 2; got 1"),
        ("ring_crowd", {"noise": 0.0}, "0 < noise <= 1; got 0"),
        ("ring_crowd", {"size": 2}, "size >= 3; got 2"),
        ("riccati", {"ratio": 5, "T": 4}, r"ratio\*\*T <= 256; got 5, T = 4"),
    ],
)
def test_parameters_out_of_range_are_refused(name, given, says):
    with pytest.raises(eq.BadInput, match=says) as caught:
        catalog.load(f"mean_field/{name}", **given)
    assert str(caught.value).count("\n") == 0
