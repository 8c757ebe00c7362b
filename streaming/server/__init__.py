"""Recognition over the network: `rill serve`."""
