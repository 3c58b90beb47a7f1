"""Laws over joint actions that nobody gains from disobeying, the best one by an objective."""
