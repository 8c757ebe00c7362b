"""Many voices over the network: `rill serve`."""
