"""How networks are fitted: the net, its schedule, the split, the device, the seed."""
