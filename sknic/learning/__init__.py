"""How a network is fitted here: the net, its schedule, the split, the device, the seed."""
