"""Games of continuous actions: the differential game, Cournot competition, and quadratic games.

Known equilibria are joint actions: `profile` holds an array (d_i,) for each agent, or (S, d_i) in games with states,
and `values` are rewards (N, 1), or discounted sums (N, S).
"""
