"""Pictures of mean-field equilibria: masses, arrows and probabilities are those of the answer."""

import numpy as np
import pytest

import equinfer as eq
from equinfer.report.deviations import deviation_rows
from equinfer.report.population import actions_over_time, flow_maps
from equinfer.report.temperatures import temperature_map


@pytest.fixture(scope="module", params=["crowd_modelling", "predator_prey", "building_evacuation", "left_right"])
def solution(request):
    return eq.solve(f"catalog:mean_field/{request.param}")


def heats(figure):
    return [np.array(trace.z, float) for trace in figure.data if trace.type == "heatmap"]


def test_every_moment_that_is_drawn_holds_the_whole_population(solution):
    panels = heats(flow_maps(solution))
    grid = solution.game.grid
    over_time = grid is None or len(grid) == 1
    for panel in panels:
        np.testing.assert_allclose(np.nansum(panel, axis=0 if over_time else None), 1.0, atol=1e-12)
    assert len(panels) == (1 if over_time else min(6, len(solution.values[0]))) * len(solution.flows)


def test_arrows_point_where_players_go_on_average(solution):
    arrows = [trace for trace in flow_maps(solution).data if trace.type == "scatter"]
    if solution.game.moves is None:
        assert not arrows
        return
    moves, policy = np.array(solution.game.moves[0], float), solution.profile[0]
    x, y = (np.array(arrows[0][axis], float).reshape(-1, 3) for axis in "xy")
    if len(solution.game.grid) == 1:
        time, state = x[:, 0].astype(int), y[:, 0].astype(int)
        np.testing.assert_allclose((y[:, 1] - y[:, 0]) / 0.4, (policy[time, state] @ moves)[:, 0], atol=1e-12)
    else:
        cell = (y[:, 0] * solution.game.grid[1] + x[:, 0]).astype(int)
        along = np.stack([y[:, 1] - y[:, 0], x[:, 1] - x[:, 0]], axis=1) / 0.45
        np.testing.assert_allclose(along, policy[0, cell] @ moves, atol=1e-12)


def test_probabilities_of_actions_where_anybody_is(solution):
    figure = actions_over_time(solution)
    if solution.game.grid is not None and len(solution.game.grid) > 1:
        assert figure is None
        return
    panels = heats(figure)
    seen = np.moveaxis(np.stack(panels), 0, -1).swapaxes(0, 1)
    empty = solution.flows[0].sum(axis=-1) == 0
    assert np.isnan(seen[empty]).all()
    np.testing.assert_array_equal(seen[~empty], solution.profile[0][~empty])


def test_nobody_deviates_where_nobody_is():
    """All begin in one corner of four rooms; elsewhere, in the first epoch, nothing can be gained."""
    solution = eq.solve("catalog:mean_field/four_rooms", solver="bayesian-q", steps=2)
    (deviation,) = solution.certificate.deviations
    assert np.count_nonzero(deviation.gain[0]) == 1
    assert solution.gap == pytest.approx(deviation.gain[0].max(), rel=1e-12)
    (row,) = deviation_rows(solution)
    assert row.player == "everybody"


@pytest.mark.parametrize("name", ["crowd_modelling", "predator_prey", "building_evacuation"])
def test_the_page_is_the_same_from_a_file(name, tmp_path):
    solution = eq.solve(f"catalog:mean_field/{name}")
    solution.save(tmp_path / "s.npz")
    again = eq.load_solution(tmp_path / "s.npz")
    assert again.game == solution.game
    again.report(tmp_path / "again.html")
    text = (tmp_path / "again.html").read_text()
    assert "Where the population is" in text
    assert ("Arrows" in text) == (solution.game.moves is not None)
    assert "Values where the game begins" in text


def test_the_temperature_map_has_a_row_for_every_setting():
    """Its best entry is what was certified, its rows never rise, and with another solver there is none."""
    solution = eq.solve("catalog:mean_field/congestion", solver="temperature-grid", steps=60)
    (heat,) = temperature_map(solution).data
    assert len(heat.y) == 20
    assert "temperature" in heat.y[0]
    assert np.all(np.diff(heat.z, axis=1) <= 0)
    assert heat.customdata[:, -1].min() == pytest.approx(
        solution.gap, rel=1e-6, abs=solution.certificate.numerical_error
    )
    assert temperature_map(eq.solve("catalog:mean_field/congestion")) is None
