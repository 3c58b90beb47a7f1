"""Mean-field games: the ten environments of MFGLib, seven of OpenSpiel's, two with closed forms, and four stationary
ones.

An environment of MFGLib with times t = 0..T has T + 1 decision epochs. Where a peer's game has a defect, the game here
is what was meant, and `as_open_spiel=True` is what is played there.
"""
