"""The contestants' processes. `turns` needs nothing but Python; each other module what its contestant needs."""
