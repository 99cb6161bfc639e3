"""Floor 6. What the parts of the `slimlab` command do, with the library behind them."""
