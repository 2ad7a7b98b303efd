"""Which providers of maps, weather and satellite pictures a tenant uses, and with which keys."""
